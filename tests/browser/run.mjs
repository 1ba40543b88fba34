// Looks at every page that the navigation leads to, at the first thing of each list, and at what PAGES names (paths, separated by
// spaces).
//
//   BASE_URL=http://127.0.0.1:… LOGIN_URL=http://127.0.0.1:…/… SCREENSHOTS=folder node run.mjs

import { Harness } from "./harness.mjs";

const { BASE_URL: base, LOGIN_URL: login, SCREENSHOTS: screenshots = "../../target/screenshots", PAGES: pages = "" } = process.env;
if (!base) {
  console.error("BASE_URL is not set: start a server and name its address");
  process.exit(2);
}

const harness = await Harness.start({ base, login, screenshots });
const lists = ["/", ...(await navigation())];
const paths = new Set([...lists, ...(await things(lists)), ...pages.split(" ").filter(Boolean)]);
for (const path of paths) {
  console.log(`looking at ${path}`);
  await harness.look(nameOf(path), path);
}
try {
  await harness.finish();
  console.log(`${paths.size} pages, no complaint; pictures in ${screenshots}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

async function navigation() {
  const page = await harness.page("navigation");
  await page.goto(base, { waitUntil: "load" });
  const links = await page.locator("nav a[href]").evaluateAll((all) => all.map((one) => one.href));
  await page.context().close();
  const ours = links.map((link) => new URL(link)).filter((link) => link.origin === new URL(base).origin);
  return ours.map((link) => link.pathname + link.search);
}

/** The first thing that each list leads to. */
async function things(lists) {
  const page = await harness.page("things");
  const found = [];
  for (const list of lists) {
    await page.goto(base + list, { waitUntil: "load" });
    const links = await page.locator("main a[href]").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
    const own = new RegExp(`^${list}/[^/?#]+$`);
    const thing = list !== "/" && links.find((link) => own.test(link));
    if (thing) found.push(thing);
  }
  await page.context().close();
  return found;
}

/** `/deployments/DEP-1?wave=2` is the picture `deployments-DEP-1-wave-2`. */
function nameOf(path) {
  return path.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "") || "today";
}
