/**
 * Does what docs/studio.md tells a new user to do, and takes its pictures.
 *
 * The commands stand in the page itself, in comments that begin with "walk":
 *
 *   open PAGE            click "NAME"          choose "NAME"        fill "LABEL" "TEXT"
 *   press KEY            see "TEXT"            stroke X,Y X,Y ...   (shares of the picture)
 *   file PATH            picture NAME          copy FROM TO         (in the project)
 *   select "LABEL" "OPTION"                    tick "PANEL"         (the first box in it)
 *   hold KEY "SLIDER" until "TEXT"             (pressed again and again)
 *
 * TEXT and the NAME of a choice are regular expressions.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, open, serve, start, temporary, until } from "./studio.mjs";

const REPOSITORY = join(import.meta.dirname, "../..");
const PICTURES = process.env.PICTURES ? join(REPOSITORY, "docs/images") : join(import.meta.dirname, ".pictures");

/** Longest wait for a piece of work, of a program without optimisation on a machine that does other things too. */
const SLOW = 420_000;

let chrome, place, studio;

before(async () => {
  await mkdir(PICTURES, { recursive: true });
  chrome = await browser();
  place = await temporary();
  studio = await start(join(place.folder, "parts"));
});

after(async () => {
  await chrome?.close();
  await studio?.stop();
  await place?.remove();
});

/** A control by its name, whatever it is. */
function control(page, name) {
  const exact = { name, exact: true };
  const buttons = page.getByRole("button", exact).or(page.getByRole("link", exact));
  return buttons.or(page.locator("summary", { hasText: name })).or(page.locator('[role="option"]').filter({ hasText: name })).or(page.getByRole("checkbox", { name })).first();
}

/** Pictures that are still on their way would make a picture a matter of luck; those out of sight are never loaded. */
async function settled(page) {
  const arrived = () =>
    [...document.images].every((image) => {
      const { top, bottom } = image.getBoundingClientRect();
      return image.complete || bottom < 0 || top > globalThis.innerHeight;
    });
  await until(() => page.evaluate(arrived), "the pictures are there");
  const messages = page.locator(".toast.info");
  for (let count = await messages.count(); count > 0; count = await messages.count()) {
    await messages.first().locator("button").last().click({ timeout: 2000 }).catch(() => undefined);
  }
}

const COMMANDS = {
  open: (page, [where]) => page.goto(`${studio.address}/#/${where}`),
  async click(page, [name]) {
    // Keys are part of what a button shows, not of its name.
    const shown = page.getByRole("button", { name: new RegExp(`^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}( \\S+)?$`) });
    const target = (await shown.count()) > 0 ? shown.first() : control(page, name);
    await target.click();
  },
  choose: (page, [name]) => page.locator(".choice span").filter({ hasText: new RegExp(`^${name}$`) }).first().click(),
  select: (page, [label, option]) => page.getByLabel(new RegExp(`^${label}`)).first().selectOption({ label: option }),
  tick: (page, [panel]) => page.locator("section.panel").filter({ hasText: panel }).getByRole("checkbox").first().check(),
  async hold(page, [key, slider, , text]) {
    await page.getByRole("slider", { name: slider }).focus();
    for (let i = 0; i < 60; i++) {
      if ((await page.getByText(new RegExp(text)).count()) > 0) return;
      await page.keyboard.press(key);
    }
    throw new Error(`60 times ${key}, and still no ${text}`);
  },
  fill: (page, [label, text]) => page.getByLabel(new RegExp(`^${label}`)).first().fill(text),
  press: (page, [key]) => page.keyboard.press(key),
  see: (page, [text]) => page.getByText(new RegExp(text)).first().waitFor({ timeout: SLOW }),
  async stroke(page, points) {
    await page.locator(".save.saved").waitFor();
    const box = await page.locator(".stage").boundingBox();
    const side = Math.min(box.width, box.height) * 0.98;
    const at = (point) => {
      const [x, y] = point.split(",").map(Number);
      return [box.x + (box.width - side) / 2 + x * side, box.y + (box.height - side) / 2 + y * side];
    };
    await page.mouse.move(...at(points[0]));
    await page.mouse.down();
    for (const point of points.slice(1)) await page.mouse.move(...at(point), { steps: 4 });
    await page.mouse.up();
  },
  file: (_, [path]) => until(() => existsSync(join(place.folder, "parts", path)), `${path} is there`),
  copy: (_, [from, to]) => copyFile(join(place.folder, "parts", from), join(place.folder, "parts", to)),
  async picture(page, [name]) {
    await settled(page);
    await page.screenshot({ path: join(PICTURES, `${name}.jpg`), type: "jpeg", quality: 62 });
  },
};

test("the walk of docs/studio.md", { timeout: 1_500_000 }, async () => {
  const text = await readFile(join(REPOSITORY, "docs/studio.md"), "utf8");
  const page = await open(chrome, studio.address, { width: 1200, height: 750 });
  const walks = [...text.matchAll(/<!-- walk\n([\s\S]*?)-->/g)];
  assert.ok(walks.length >= 6, "the page has its steps");
  for (const [, body] of walks) {
    for (const line of body.trim().split("\n")) {
      const [name, ...rest] = line.match(/"[^"]*"|\S+/g);
      const words = rest.map((word) => word.replace(/^"|"$/g, ""));
      assert.ok(COMMANDS[name], `no such command: ${line}`);
      const started = Date.now();
      try {
        await COMMANDS[name](page, words);
        if (Date.now() - started > 5000) console.log(`${line}: ${Math.round((Date.now() - started) / 1000)} s`);
      } catch (error) {
        await page.screenshot({ path: join(import.meta.dirname, ".pictures/failed.png") }).catch(() => undefined);
        throw new Error(`${line}: ${error.message}`, { cause: error });
      }
    }
  }
  // Every picture that the page shows was taken on the way.
  const shown = [...text.matchAll(/\(images\/(studio-[\w-]+)\.jpg\)/g)].map(([, name]) => name);
  assert.ok(shown.length >= 6);
  for (const name of shown) assert.ok(existsSync(join(PICTURES, `${name}.jpg`)), `${name}.jpg is taken on the walk`);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the promoted model is served", { timeout: 120_000 }, async () => {
  const parts = join(place.folder, "parts");
  const server = await serve(join(parts, "models/serving"));
  try {
    const ask = (name) => readFile(join(parts, name)).then((body) => fetch(`${server.address}/inspect`, { method: "POST", body }));
    const good = await (await ask("good/part-004.png")).json();
    const bad = await (await ask("bad/stain/part-301.png")).json();
    assert.deepEqual([good.verdict, bad.verdict], ["OK", "NG"], JSON.stringify([good, bad]).slice(0, 500));
  } finally {
    await server.stop();
  }
});

test("every page is accessible, in light and dark, wide and narrow, in both languages", { timeout: 300_000 }, async () => {
  const axe = await readFile(join(import.meta.dirname, "../node_modules/axe-core/axe.min.js"), "utf8");
  const pages = ["images", "edit/bad%2Fscratch%2Fpart-200.png", "check", "train", "judge", "learn", "live"];
  const looks = [
    { width: 1440, height: 900, scheme: "light", language: "en-GB" },
    { width: 1440, height: 900, scheme: "dark", language: "de-DE" },
    { width: 390, height: 844, scheme: "light", language: "de-DE" },
    { width: 390, height: 844, scheme: "dark", language: "en-GB" },
  ];
  const found = [];
  for (const look of looks) {
    const page = await open(chrome, studio.address, look);
    for (const where of pages) {
      await page.goto(`${studio.address}/#/${where}`);
      await page.locator("main > *").first().waitFor();
      // The page's own policy forbids inline scripts; the debugger's door is not the page's.
      await page.evaluate(axe);
      await settled(page);
      const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
      const name = `${where.split("/")[0]}-${look.width}-${look.scheme}`;
      for (const { id, nodes } of violations) found.push(`${name}: ${id}: ${nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary.split("\n")[1] ?? ""}`).join(" | ")}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) found.push(`${name}: ${wide} px wider than the window`);
      await page.screenshot({ path: join(import.meta.dirname, ".pictures", `page-${name}.png`) });
    }
    found.push(...page.problems);
    await page.context().close();
  }
  assert.deepEqual(found, []);
});
