// What five people do in a day, each signed in as themselves, in the house that the demo has left behind: a developer, a
// release manager, an approver by keys alone and without script, an operator, and an auditor who may change nothing.
//
//   BASE_URL=… LINKS="rosa=http://… grace=… olaf=… dana=… vera=…" SCREENSHOTS=folder node walks.mjs

import { Harness } from "./harness.mjs";

const { BASE_URL: base, LINKS: links = "", SCREENSHOTS: screenshots = "../../target/screenshots" } = process.env;
if (!base || !links) {
  console.error("BASE_URL and LINKS are not set: start the demo and make a sign-in link for each of its people");
  process.exit(2);
}
/** Longest wait for what other processes do. */
const WORK_MS = 60_000;
const DAY_MS = 86_400_000;
/** What only the page of a change that has its votes says. */
const AUTHORISED = /Authorised for content/;

const linkOf = new Map(links.split(" ").map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]));
const complaints = [];

await walk("dana", "a developer makes a token and writes two changes with it", developer);
await walk("rosa", "a release manager declares a freeze, finds it on the calendar and lifts it", releaseManager);
await walk("grace", "an approver says yes and no by keys alone, and yes without script", approver);
await walk("olaf", "an operator starts, holds, resumes, and is told why not", operator);
await walk("vera", "an auditor reads and verifies, and is offered nothing else", auditor);

if (complaints.length > 0) {
  console.error(`${complaints.length} complaints\n${complaints.join("\n")}`);
  process.exitCode = 1;
}

async function walk(person, what, steps) {
  const harness = await Harness.start({ base, login: linkOf.get(person), screenshots });
  const page = await harness.page(person);
  try {
    await steps(page, harness);
    console.log(what);
  } catch (error) {
    await page.screenshot({ path: `${screenshots}/${person}-broke.png`, fullPage: true }).catch(() => {});
    harness.complain(person, `${page.url()}: ${error.message.split("\n").slice(0, 3).join(" ")}`);
  }
  await harness.finish().catch((error) => complaints.push(error.message));
}

async function go(page, path) {
  await page.goto(base + path, { waitUntil: "load" });
}

/** Waits until the page says something, without reloading it. */
async function says(page, what, timeout = 15_000) {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector("main")?.innerText ?? ""),
    [what.source, what.flags],
    { timeout },
  );
}

async function api(token, method, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${base}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text}`);
  return JSON.parse(text);
}

/** A token by page, as it is shown once. */
async function tokenOf(page) {
  await go(page, "/people");
  await page.locator("summary", { hasText: "Make a token" }).click();
  await page.locator("input[name=label]").fill("a walk");
  await page.getByRole("button", { name: "Make a token", exact: true }).click();
  await says(page, /not shown again/i);
  return (await page.locator("main pre.command code").first().innerText()).trim();
}

async function developer(page) {
  const token = await tokenOf(page);
  for (const title of ["Rotate the certificate", "Drop the old table", "Raise the log level"]) {
    const content = { title, class: "normal", application: "ledger", environments: ["staging"] };
    const written = await api(token, "POST", "/changes", { content });
    await go(page, `/changes/${written.value.id}`);
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    await says(page, /author may not approve/i);
  }
}

async function releaseManager(page, harness) {
  const at = (days) => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 16);
  await go(page, "/freezes");
  await page.locator("#declare summary").click();
  for (const [name, value] of [
    ["name", "Audit week"],
    ["reason", "the auditors are here"],
    ["environments", "staging"],
    ["from", at(2)],
    ["until", at(1)],
    ["zone", "UTC"],
  ]) {
    await page.locator(`#declare [name=${name}]`).fill(value);
  }
  // Its end is before its beginning: that is refused, with what would be right, and the way back has what was written.
  harness.expected.push(/status of 400/);
  await page.locator("#declare button[type=submit]").click();
  await says(page, /ends before it begins/);
  await harness.shoot(page, "freeze-refused");
  await page.getByRole("link", { name: "Back to where you were" }).click();
  await page.locator("#declare[open] [name=until]").fill(at(4));
  await page.locator("#declare button[type=submit]").click();
  await says(page, /Audit week/);
  const day = at(3).slice(0, 10);
  await go(page, `/calendar?day=${day}`);
  await says(page, /Audit week/);
  await harness.inspect(page, "calendar-of-the-freeze");
  await page.locator("main a", { hasText: "Audit week" }).first().click();
  await page.waitForURL(/\/freezes/);
  await says(page, /the auditors are here/);
  const panel = page.locator("article, section, div.panel").filter({ hasText: "Audit week" }).last();
  await panel.locator("summary", { hasText: "Lift" }).click();
  await panel.locator("details[open] textarea[name=reason]").fill("they have left");
  await panel.locator("details[open] button[type=submit]").click();
  await says(page, /Lifted by rosa/i);
}

async function approver(page, harness) {
  await go(page, "/");
  const changes = await letterOf(page, "Changes");
  await page.keyboard.press("g");
  await page.keyboard.press(changes);
  await page.waitForURL(/\/changes/);
  await page.locator("main a", { hasText: "Rotate the certificate" }).first().waitFor();
  await open(page, "Rotate the certificate");
  await page.keyboard.press("a");
  await page.keyboard.press("Enter");
  await says(page, AUTHORISED);
  await page.keyboard.press("g");
  await page.keyboard.press(changes);
  await page.waitForURL(/\/changes(\?|$)/);
  await open(page, "Drop the old table");
  await page.keyboard.press("r");
  await page.keyboard.type("its rows are still read");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await harness.inspect(page, "ballot-by-keys");
  await page.keyboard.press("Enter");
  await says(page, /rejected/i);
  await says(page, /its rows are still read/);
  const plain = await harness.page("grace-no-script", undefined, { javaScriptEnabled: false });
  await go(plain, "/changes?state=awaiting_authorisation");
  await plain.locator("main a", { hasText: "Raise the log level" }).first().click();
  await plain.locator("button[name=choice][value=approve]").click();
  const text = await plain.locator("main").innerText();
  if (!AUTHORISED.test(text)) throw new Error("a vote without script does not count");
  await plain.context().close();
}

/** The key that leads to a place after `g`, as the page's own help tells it. */
async function letterOf(page, place) {
  await page.keyboard.press("?");
  const help = page.locator("dialog.keys");
  await help.locator("dt").first().waitFor();
  const pairs = await help.locator("dt").evaluateAll((all) => all.map((one) => [one.innerText, one.nextElementSibling?.innerText]));
  await page.keyboard.press("Escape");
  const keys = pairs.find(([, word]) => word?.trim() === place)?.[0];
  if (!keys) throw new Error(`the help names no key for ${place}`);
  return keys.trim().split(/\s+/).at(-1);
}

/** Opens the row that says `title` by the keys that move through rows. */
async function open(page, title) {
  for (let steps = 0; steps < 60; steps++) {
    await page.keyboard.press("j");
    const row = await page.evaluate(() => document.activeElement?.closest("tr, li, article")?.innerText ?? "");
    if (row.includes(title)) {
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/changes\/CHG-/);
      return;
    }
  }
  throw new Error(`no row with ${title} is reached by j`);
}

async function operator(page, harness) {
  const token = await tokenOf(page);
  const release = (await api(token, "GET", "/releases?text=1.1")).rows.find((one) => one.value.version === "1.1").value;
  // Nobody uses development, so that a gate that asks for requests would wait for ever.
  const strategy = { cut: { canary: { first: 1, then: [] } }, after_each: [{ bake: { at_least_seconds: 5 } }] };
  const plan = { application: "ledger", environment: "development", release: release.id, strategy: { inline: strategy } };
  const planned = await api(token, "POST", "/deployments", plan);
  const id = planned.deployment.id;
  await go(page, `/deployments/${id}`);
  await page.evaluate(() => (globalThis.neverReloaded = true));
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await says(page, /running|baking/i);
  await page.locator("#pause summary").click();
  await page.locator("#pause textarea").fill("a look at the canary");
  await page.locator("#pause button[type=submit]").click();
  await says(page, /paused/i, WORK_MS);
  await says(page, /a look at the canary/);
  await harness.inspect(page, "deployment-paused");
  await harness.shoot(page, "deployment-paused");
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.waitForFunction(
    () => /succeeded/i.test(document.querySelector("[data-live=head]")?.innerText ?? ""),
    null,
    { timeout: WORK_MS },
  );
  // Development has 1.1 now and staging has not: it is promoted by page, and nobody has authorised it there.
  await go(page, "/environments?application=ledger");
  await page.locator("summary", { hasText: "Promote" }).first().click();
  await page.locator("details[open] select[name=environment]").selectOption("staging");
  await page.locator("details[open] button[type=submit]").click();
  await page.waitForURL(/\/deployments\/DEP-/);
  const start = page.getByRole("button", { name: "Start when admitted", exact: true });
  await start.waitFor();
  await harness.shoot(page, "deployment-not-admitted");
  await page.locator("#stop summary").click();
  await page.locator("#stop textarea").fill("only a try");
  await page.locator("#stop button[type=submit]").click();
  await says(page, /cancelled/i);
}

async function auditor(page, harness) {
  await go(page, "/");
  const places = await page.locator("nav a[href^='/']").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  // What anybody may do: leave, verify, and keep tokens of their own.
  const own = /^\/(logout|audit\/verify|tokens)/;
  const offered = async () => {
    const forms = await page.locator("form[method=post]").evaluateAll((all) => all.map((one) => one.getAttribute("action")));
    const foreign = forms.filter((action) => !own.test(action));
    if (foreign.length > 0) throw new Error(`${page.url()} offers ${foreign.join(", ")}`);
  };
  for (const place of new Set(places)) {
    await go(page, place);
    await offered();
    const thing = page.locator(`main a[href^='${place}/']`).first();
    if (place !== "/" && (await thing.count()) > 0) {
      const href = await thing.getAttribute("href");
      await go(page, href);
      await offered();
      await page.goBack();
      if (new URL(page.url()).pathname !== place.split("?")[0]) throw new Error(`back from ${href} leads to ${page.url()}`);
    }
  }
  await go(page, "/audit");
  await page.locator("form.filter input[name=text]").fill("every third entry");
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=every/);
  await says(page, /rejected/i);
  await harness.inspect(page, "audit-found");
  // What was asked for is in the address: it can be sent to somebody.
  const found = await page.locator("main").innerText();
  await page.goto(page.url(), { waitUntil: "load" });
  if ((await page.locator("main").innerText()) !== found) throw new Error("a link to what was found shows something else");
  await page.getByRole("button", { name: "Verify every hash" }).click();
  await says(page, /history is whole/i);
}
