/** The other tools of the editor, the regions of the project, and pictures of sixteen bits. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { assertSame, decodePng, edit, encodePng, open, saved, scene, stroke, until } from "./studio.mjs";

const the = scene();

const maskOf = async (file) => decodePng(await readFile(join(the.place.folder, file))).pixels;

/** Pixels for which something is so. */
function where(is) {
  const pixels = new Uint8Array(256 * 256);
  for (let y = 0; y < 256; y++) for (let x = 0; x < 256; x++) if (is(x, y)) pixels[y * 256 + x] = 255;
  return pixels;
}

/** Even-odd rule, asked for the centre of a pixel. */
function inside(points, x, y) {
  let odd = false;
  points.forEach(([ax, ay], i) => {
    const [bx, by] = points[(i + 1) % points.length];
    if (ay <= y !== by <= y && x < ax + ((y - ay) * (bx - ax)) / (by - ay)) odd = !odd;
  });
  return odd;
}

test("polygon, rectangle, fill and eraser are the same pixels on the disk", { timeout: 120_000 }, async () => {
  const page = await open(the.chrome, the.studio.address);
  const file = "masks/scratch/part-202_mask.png";
  const at = await edit(page, the.studio.address, "bad/scratch/part-202.png");
  await page.getByRole("button", { name: "Clear" }).click();
  await until(() => !existsSync(join(the.place.folder, file)), "the mask is empty, so there is none");

  // A ring drawn as a polygon that crosses itself nowhere, then filled; a rectangle; a bite out of it.
  const corners = [[40.2, 40.3], [120.4, 50.2], [110.3, 130.4], [60.6, 100.2]];
  await page.keyboard.press("p");
  for (const corner of corners) await page.mouse.click(...at(...corner));
  await page.keyboard.press("Enter");
  await page.keyboard.press("r");
  await stroke(page, at, [[150.4, 150.4], [180.2, 190.3], [200.4, 200.4]]);
  const drawn = (x, y) => inside(corners, x + 0.5, y + 0.5) || (x >= 150 && x <= 200 && y >= 150 && y <= 200);
  await saved(page);
  await until(() => existsSync(join(the.place.folder, file)), "the mask is there");
  await saved(page);
  assertSame(await maskOf(file), where(drawn));

  // Filling what is marked clears it; filling what is not marks it, up to what is marked.
  await page.keyboard.press("g");
  await page.mouse.click(...at(175, 175));
  const middle = 175 * 256 + 175;
  await until(async () => (await maskOf(file))[middle] === 0, "the fill is saved");
  await saved(page);
  assertSame(await maskOf(file), where((x, y) => inside(corners, x + 0.5, y + 0.5)));
  await page.mouse.click(...at(10, 10));
  await until(async () => (await maskOf(file))[0] === 255, "the fill is saved");
  await saved(page);
  assertSame(await maskOf(file), where(() => true));
  for (let i = 0; i < 2; i++) await page.keyboard.press("Control+z");
  await until(async () => (await maskOf(file))[0] === 0, "undone");
  await saved(page);
  assertSame(await maskOf(file), where(drawn));

  // A polygon that is given up leaves nothing.
  await page.keyboard.press("p");
  for (const corner of corners) await page.mouse.click(...at(corner[0] + 90, corner[1]));
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  assert.deepEqual(page.problems, []);
  await page.context().close();
  assertSame(await maskOf(file), where(drawn));
});

test("the region of the project is drawn on an image and is of all images", { timeout: 120_000 }, async () => {
  const page = await open(the.chrome, the.studio.address);
  const at = await edit(page, the.studio.address, "good/part-000.png");
  await page.locator(".side .choice span").filter({ hasText: "Region" }).click();
  await page.getByText("only what is marked is learned and judged").waitFor();
  await saved(page);
  await page.keyboard.press("r");
  // The layer is read before it can be drawn on.
  await until(async () => {
    await stroke(page, at, [[20.4, 20.4], [100.2, 100.2], [235.4, 235.4]]);
    return existsSync(join(the.place.folder, "roi.png"));
  }, "the region is there");
  await saved(page);
  assertSame(await maskOf("roi.png"), where((x, y) => x >= 20 && x <= 235 && y >= 20 && y <= 235));
  assert.ok(existsSync(join(the.place.folder, "good/part-000.png")), "a region is no defect: the image stays good");
  await edit(page, the.studio.address, "good/part-001.png");
  await page.locator(".side .choice span").filter({ hasText: "Region" }).click();
  await page.getByText(`${(216 * 216).toLocaleString("en")} pixels marked`).waitFor();
  await page.context().close();
});

test("sixteen bits are shown through a window of greys", { timeout: 120_000 }, async () => {
  await mkdir(join(the.place.folder, "good"), { recursive: true });
  // From 1,000 to 3,000 of 65,535: all black without a window.
  await writeFile(join(the.place.folder, "good/deep.png"), encodePng(256, 256, 16, (x) => 1000 + Math.round((x * 2000) / 255)));
  const page = await open(the.chrome, the.studio.address);
  await edit(page, the.studio.address, "good/deep.png");
  await page.getByText("16 bit").waitFor();
  const spread = () =>
    page.evaluate(() => {
      const canvas = document.querySelector(".stage canvas");
      const { data } = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1);
      const greys = [...data].filter((_, i) => i % 4 === 0 && data[i + 3] > 0);
      return Math.max(...greys) - Math.min(...greys);
    });
  await until(async () => (await spread()) < 12, "without a window everything is nearly black");
  await page.getByLabel("White").fill("0.05");
  await until(async () => (await spread()) > 130, "with a window the ramp is seen");
  await page.context().close();
});
