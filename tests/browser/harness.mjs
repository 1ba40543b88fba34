// Visits pages in Debian's Chromium and says what a careful person would complain about: faults in the console, a
// broken content security policy, requests to other hosts, a page wider than a phone, and what axe calls serious.
//
//   const browser = await Harness.start({ base, login, screenshots });
//   await browser.look("today", "/");              // four looks: 1280 and 400 px, light and dark
//   const page = await browser.page();             // for a story: click, fill, wait; faults are still collected
//   await browser.finish();                        // closes; throws if there was any complaint

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Where Debian puts it; CHROMIUM names another. */
const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** The sandbox of Chromium cannot be made by root; the rest keeps it from talking to anybody but us. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Longest wait for one page or one element. */
const WAIT_MS = 15_000;

/** A desk and a phone, by day and by night. */
export const LOOKS = [
  { width: 1280, height: 900, theme: "light" },
  { width: 1280, height: 900, theme: "dark" },
  { width: 400, height: 800, theme: "light" },
  { width: 400, height: 800, theme: "dark" },
];

/** axe's own words for what keeps somebody from using a page. */
const SERIOUS = new Set(["serious", "critical"]);

export class Harness {
  /** Every complaint so far, one line each. */
  complaints = [];
  /** What the console may say: a refusal that is asked for is told there too. */
  expected = [];
  #browser;
  #base;
  #screenshots;
  #session;

  /** Starts the browser and signs in once at `login`, if it is given. */
  static async start({ base, login, screenshots }) {
    const harness = new Harness();
    harness.#base = new URL(base).origin;
    harness.#screenshots = screenshots;
    await mkdir(screenshots, { recursive: true });
    harness.#browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
    try {
      if (login) await harness.#signIn(login);
    } catch (error) {
      await harness.#browser.close();
      throw error;
    }
    return harness;
  }

  /** A signed-in page whose faults are collected under `name`; close its context when done. */
  async page(name = "story", { width, height, theme } = LOOKS[0], options = {}) {
    const context = await this.#browser.newContext({
      viewport: { width, height },
      colorScheme: theme,
      reducedMotion: "reduce",
      storageState: this.#session,
      ...options,
    });
    context.setDefaultTimeout(WAIT_MS);
    if (options.javaScriptEnabled !== false) await this.#reportViolations(context, name);
    const page = await context.newPage();
    page.on("console", (message) => {
      const told = message.type() === "error" && !this.expected.some((one) => one.test(message.text()));
      if (told) this.complain(name, `console: ${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => this.complain(name, `script: ${error.message}`));
    page.on("request", (request) => {
      const origin = new URL(request.url()).origin;
      if (origin !== this.#base && origin !== "null") this.complain(name, `asks another host: ${request.url()}`);
    });
    return page;
  }

  /** Takes the page at `path` in all four looks, and once without script. */
  async look(name, path) {
    for (const look of LOOKS) {
      const label = `${name}-${look.width}-${look.theme}`;
      const page = await this.page(label, look);
      const answer = await page.goto(new URL(path, this.#base).href, { waitUntil: "load" });
      if (!answer.ok()) this.complain(label, `${path} answers ${answer.status()}`);
      await this.shoot(page, label);
      await this.inspect(page, label);
      await page.context().close();
    }
    await this.#withoutScript(name, path);
  }

  /** A picture of the whole page as it is now. */
  async shoot(page, label) {
    await page.screenshot({ path: join(this.#screenshots, `${label}.png`), fullPage: true });
  }

  /** Complains about width and about what axe finds on the page as it is now. */
  async inspect(page, label) {
    for (const wide of await page.evaluate(tooWide)) this.complain(label, `wider than the window: ${wide}`);
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    for (const violation of violations.filter((one) => SERIOUS.has(one.impact))) {
      const places = violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ");
      this.complain(label, `axe ${violation.id}: ${violation.help} at ${places}`);
    }
  }

  /** Puts one line on the list. */
  complain(label, what) {
    const line = `${label}: ${what}`;
    if (!this.complaints.includes(line)) this.complaints.push(line);
  }

  /** Closes the browser; throws if there was any complaint. */
  async finish() {
    await this.#browser.close();
    if (this.complaints.length > 0) throw new Error(`${this.complaints.length} complaints\n${this.complaints.join("\n")}`);
  }

  async #signIn(login) {
    const page = await this.page("sign-in");
    const answer = await page.goto(login, { waitUntil: "load" });
    if (!answer.ok()) this.complain("sign-in", `the link answers ${answer.status()}`);
    // A one-time link that a mail scanner could follow asks for a press of a button first.
    const button = page.locator("main form button[type=submit]");
    if (page.url() === login && (await button.count()) > 0) {
      await Promise.all([page.waitForURL((url) => url.href !== login), button.first().click()]);
    }
    this.#session = await page.context().storageState();
    await page.context().close();
  }

  async #reportViolations(context, name) {
    await context.exposeBinding("reportPolicyViolation", (_source, what) => this.complain(name, `policy: ${what}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        globalThis.reportPolicyViolation(`${event.effectiveDirective} forbids ${event.blockedURI} (line ${event.lineNumber})`);
      });
    });
  }

  /** A page has to be complete before its script has run, or where none runs. */
  async #withoutScript(name, path) {
    const label = `${name}-no-script`;
    const page = await this.page(label, LOOKS[0], { javaScriptEnabled: false });
    await page.goto(new URL(path, this.#base).href, { waitUntil: "load" });
    const main = page.locator("main");
    const text = (await main.count()) > 0 ? await main.first().innerText() : "";
    if (text.trim() === "") this.complain(label, "there is nothing in <main> without script");
    await page.context().close();
  }
}

/** In the page: what makes it wider than the window. */
function tooWide() {
  const root = document.documentElement;
  const room = root.clientWidth;
  if (root.scrollWidth <= room) return [];
  const reaching = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > room + 1);
  const innermost = reaching.filter((one) => !reaching.some((other) => other !== one && one.contains(other)));
  const named = innermost.slice(0, 3).map((one) => `<${one.tagName.toLowerCase()} class="${one.className}">`);
  return [`${root.scrollWidth} px in ${room} px by ${named.join(", ") || "something"}`];
}
