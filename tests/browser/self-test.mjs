// Shows that the harness finds what it is there to find: small pages with one planted fault each, and one without.

import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Harness, LOOKS } from "./harness.mjs";

const STYLE = `:root { color-scheme: light dark; color: light-dark(#111, #eee); background: light-dark(#fff, #111); }
  a { color: light-dark(#003399, #aaccff); }`;

const document = (body, head = "") => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page</title>
  <meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">${head}</head>
  <body><nav aria-label="Main"><a href="/good">Good</a></nav><main><h1>Page</h1>${body}</main></body></html>`;

/** Each page and the one complaint that it must raise. */
const PAGES = {
  "/good": [document("<p>All is well.</p>"), null],
  "/console": [document("<p>x</p>", '<script src="/shout.js"></script>'), /console: it went wrong/],
  "/throw": [document("<p>x</p>", '<script src="/throw.js"></script>'), /script: thrown/],
  "/missing": [document('<p>x</p><img src="/gone.png" alt="gone">'), /console: Failed to load resource.*404/],
  "/inline": [document("<p>x</p><script>globalThis.inline = 1;</script>"), /policy: script-src-elem forbids inline/],
  "/wide": [document('<div class="wide">wide</div>'), /-400-.*wider than the window: .*class="wide"/],
  "/label": [document("<form><input type=text></form>"), /axe label: /],
  "/contrast": [document('<p class="pale">pale</p>'), /-light: axe color-contrast/],
  "/empty": [document("").replace("<h1>Page</h1>", '<h1 id="late"></h1><script src="/late.js"></script>'), /nothing in <main>/],
  "/elsewhere": [document('<p>x</p><img src="http://127.0.0.1:9/x.png" alt="x">'), /asks another host/],
  "/refused": [null, /answers 404/],
};

const FILES = {
  "/style.css": ["text/css", `${STYLE} .wide { width: 600px; } .pale { color: light-dark(#ccc, #eee); }`],
  "/shout.js": ["text/javascript", 'console.error("it went wrong");'],
  "/throw.js": ["text/javascript", 'throw new Error("thrown");'],
  "/late.js": ["text/javascript", 'document.getElementById("late").textContent = "Late";'],
};

const server = createServer((request, response) => {
  const page = PAGES[request.url]?.[0];
  const [type, body] = page ? ["text/html", page] : (FILES[request.url] ?? ["text/plain", null]);
  response.writeHead(body === null ? 404 : 200, {
    "content-type": `${type}; charset=utf-8`,
    "content-security-policy": "default-src 'self'; img-src * data:; base-uri 'none'",
  });
  response.end(body ?? "no such page");
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const base = `http://127.0.0.1:${server.address().port}`;
const screenshots = await mkdtemp(join(tmpdir(), "tidegate-self-test-"));

try {
  const harness = await Harness.start({ base, screenshots });
  for (const [path, [, complaint]] of Object.entries(PAGES)) {
    const before = harness.complaints.length;
    await harness.look(path.slice(1), path);
    const said = harness.complaints.slice(before).join("\n");
    if (complaint === null) assert.equal(said, "", path);
    else assert.match(said, complaint, path);
    console.log(`${path}: ${complaint === null ? "no complaint" : "found"}`);
  }
  assert.equal((await readdir(screenshots)).length, LOOKS.length * Object.keys(PAGES).length, "one picture for each look");
  await assert.rejects(harness.finish(), /complaints/);
} finally {
  server.close();
  server.closeAllConnections();
  await rm(screenshots, { recursive: true });
}
