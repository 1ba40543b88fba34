// Follows the story of `tidegate demo --once --keep --by-hand` in a browser: approves each change by hand, watches the canary go
// out and the bad version fall back without ever reloading, and then looks at every page that the story has left behind.
//
//   BASE_URL=… LOGIN_URL=… SCREENSHOTS=folder node story.mjs

import { Harness, LOOKS } from "./harness.mjs";

const { BASE_URL: base, LOGIN_URL: login, SCREENSHOTS: screenshots = "../../target/screenshots" } = process.env;
if (!base || !login) {
  console.error("BASE_URL and LOGIN_URL are not set: start the demo and name its addresses");
  process.exit(2);
}
/** Longest wait for one chapter. */
const CHAPTER_MS = 90_000;

const harness = await Harness.start({ base, login, screenshots });
const page = await harness.page("story");
const seen = new Set();

try {
  await page.goto(base, { waitUntil: "load" });
  await says(/Today/);

  await approveNext(/Put the ledger into service/);
  const good = await approveNext(/Notes and statements/);
  await watch(good, /succeeded/i, "canary-succeeded");
  const bad = await approveNext(/Write totals down, so that/);
  await watch(bad, /fell back/i, "canary-fell-back");
  await says(/\d+ of \d+ requests/);
  const mended = await approveNext(/mended/);
  await watch(mended, /succeeded/i, "through-the-freeze");
  await freezeTells();

  const release = await first("/releases", /\/releases\/REL-/);
  const change = await first("/changes", /\/changes\/CHG-/);
  for (const [name, path] of [
    ["today", "/"],
    ["releases", "/releases"],
    ["release", release],
    ["changes", "/changes"],
    ["change", change],
    ["deployments", "/deployments"],
    ["deployment-good", good],
    ["deployment-bad", bad],
    ["deployment-target", `${bad}?target=production-01`],
    ["freezes", "/freezes"],
    ["calendar", "/calendar"],
    ["calendar-quarter", "/calendar?view=quarter"],
    ["calendar-day", `/calendar?day=${new Date().toISOString().slice(0, 10)}`],
    ["environments", "/environments"],
    ["environments-compared", "/environments?from=staging&to=production"],
    ["insights", "/insights"],
    ["reference", "/docs/api"],
    ["targets", "/targets"],
    ["target", "/targets/production-01"],
    ["artifacts", "/artifacts"],
    ["audit", "/audit"],
    ["people", "/people"],
    ["tokens", "/tokens"],
    ["settings", "/settings"],
  ]) {
    console.log(`looking at ${path}`);
    await harness.look(name, path);
  }
  await refusals();
  await keys();
  await byHand();
} catch (error) {
  await page.screenshot({ path: `${screenshots}/story-broke.png`, fullPage: true }).catch(() => {});
  harness.complain("story", error.message.split("\n").slice(0, 3).join(" "));
}
try {
  await harness.finish();
  console.log(`the story was followed and every page looked at; pictures in ${screenshots}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** Waits until the page says something, without reloading it. */
async function says(what, timeout = CHAPTER_MS) {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector("main")?.innerText ?? ""),
    [what.source, what.flags],
    { timeout },
  );
}

/** Approves the next change that waits, and returns the path of its deployment. */
async function approveNext(title) {
  const until = Date.now() + CHAPTER_MS;
  for (;;) {
    await page.goto(`${base}/changes?state=awaiting_authorisation`, { waitUntil: "load" });
    const link = page.locator("main a[href^='/changes/CHG-']").filter({ hasText: title });
    if ((await link.count()) > 0) {
      await link.first().click();
      break;
    }
    if (Date.now() > until) throw new Error(`no change ${title} came to be approved`);
    await page.waitForTimeout(250);
  }
  await says(/what would run/i);
  const path = await page.locator("main a[href^='/deployments/DEP-']").first().getAttribute("href");
  if (!seen.has("change-to-approve")) {
    seen.add("change-to-approve");
    for (const look of LOOKS) await lookAt(page.url(), `change-to-approve-${look.width}-${look.theme}`, look);
  }
  await page.locator("button[name=choice][value=approve]").first().click();
  await says(/authorised|implementing/i);
  console.log(`approved ${title}`);
  return path.split("?")[0];
}

/** A picture of a page that is only there now. */
async function lookAt(url, label, look) {
  const other = await harness.page(label, look);
  await other.goto(url, { waitUntil: "load" });
  await harness.shoot(other, label);
  await harness.inspect(other, label);
  await other.context().close();
}

/** Watches a deployment to its end on one page that is never reloaded. */
async function watch(path, end, label) {
  await page.goto(base + path, { waitUntil: "load" });
  await page.evaluate(() => (globalThis.neverReloaded = true));
  await page.waitForFunction(() => document.querySelectorAll("main svg, main .square").length > 0, null, { timeout: CHAPTER_MS });
  let shot = false;
  const until = Date.now() + CHAPTER_MS;
  for (;;) {
    const text = await page.locator("h1").first().locator("xpath=ancestor::*[self::header or self::div][1]").innerText();
    if (!shot && /running|baking/i.test(text)) {
      shot = true;
      for (const look of LOOKS) await lookAt(base + path, `${label}-live-${look.width}-${look.theme}`, look);
    }
    if (end.test(await page.locator("[data-live=head]").innerText())) break;
    if (Date.now() > until) throw new Error(`${path} did not come to ${end} on the page`);
    await page.waitForTimeout(200);
  }
  if (!(await page.evaluate(() => globalThis.neverReloaded === true))) throw new Error(`${path} was reloaded while live`);
  await harness.shoot(page, label);
  console.log(`watched ${path} to ${end}`);
}

/** Everything is reached without a pointer. */
async function keys() {
  await page.goto(base, { waitUntil: "load" });
  await page.keyboard.press("?");
  await page.locator("dialog.keys dt").first().waitFor();
  await harness.inspect(page, "keys");
  await harness.shoot(page, "keys");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.locator("dialog.palette input").waitFor();
  await page.keyboard.type("audit");
  await page.locator("dialog.palette li[aria-selected=true]").waitFor();
  await harness.inspect(page, "palette");
  await harness.shoot(page, "palette");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/audit/);
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await page.waitForURL(/\/releases/);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/releases\/REL-/);
  await page.goBack();
  await page.keyboard.press("/");
  await page.keyboard.type("1.1");
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=1\.1/);
  console.log("walked by keys");
}

/** What an operator and an auditor do by page. */
async function byHand() {
  await page.goto(`${base}/audit`, { waitUntil: "load" });
  await page.getByRole("button", { name: "Verify every hash" }).click();
  await says(/history is whole/i);
  await page.goto(`${base}/targets/production-01`, { waitUntil: "load" });
  await page.getByRole("button", { name: /Enrol again/ }).click();
  await says(/tidegate agent --server/);
  await page.goto(`${base}/people`, { waitUntil: "load" });
  await page.locator("summary", { hasText: "Make a token" }).click();
  await page.locator("input[name=label]").fill("by hand");
  await page.getByRole("button", { name: "Make a token", exact: true }).click();
  await says(/not shown again/i);
  await page.goto(`${base}/environments`, { waitUntil: "load" });
  const promote = page.locator("summary", { hasText: "Promote" });
  if ((await promote.count()) > 0) {
    await promote.first().click();
    await page.locator("details[open] button", { hasText: "Promote" }).click();
    await page.waitForURL(/\/deployments\/DEP-/);
    await says(/planned/i);
  }
  console.log("enrolled, made a token, verified and promoted by page");
}

async function freezeTells() {
  await page.goto(`${base}/freezes`, { waitUntil: "load" });
  await says(/Month end/);
  await says(/approved/i);
}

async function first(list, wanted) {
  await page.goto(base + list, { waitUntil: "load" });
  const links = await page.locator("main a[href]").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  const found = links.find((link) => wanted.test(link));
  if (!found) throw new Error(`${list} leads nowhere`);
  return found;
}

/** What is refused says why, in a page of its own. */
async function refusals() {
  const answer = await page.context().request.get(`${base}/releases/REL-00000000000000`);
  if (answer.status() !== 404) throw new Error(`a release that is not there answers ${answer.status()}`);
  const forged = await page.context().request.post(`${base}/freezes`, { form: { name: "x", reason: "y" } });
  if (forged.status() !== 403) throw new Error(`a forged form answers ${forged.status()}`);
}
