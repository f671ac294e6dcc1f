/** What is drawn is what is on the disk; nothing that happens to the program loses more than the stroke under way. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { assertSame, call, decodePng, edit, open, saved, scene, start, stroke, until } from "./studio.mjs";

const the = scene();

async function brush(page, size) {
  // The slider is logarithmic; the keys go through whole sizes.
  for (let i = 0; i < 40; i++) await page.keyboard.press("[");
  for (let now = 1; now < size; ) {
    now += Math.max(1, Math.round(now * 0.2));
    await page.keyboard.press("]");
  }
  await page.locator(`.side output:text-is("${size} px")`).waitFor();
}

/** Every pixel asked how far its centre is from the path, with no cleverness. */
function expected(paths) {
  const pixels = new Uint8Array(256 * 256);
  for (const { size, points, on = 255 } of paths) {
    const snap = ([x, y]) => (size % 2 ? [Math.floor(x) + 0.5, Math.floor(y) + 0.5] : [Math.round(x), Math.round(y)]);
    const path = points.map(snap);
    for (let y = 0; y < 256; y++) {
      for (let x = 0; x < 256; x++) {
        const near = path.some((b, i) => {
          const a = path[Math.max(0, i - 1)];
          const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
          const l2 = dx * dx + dy * dy;
          const t = l2 ? Math.min(1, Math.max(0, ((x + 0.5 - a[0]) * dx + (y + 0.5 - a[1]) * dy) / l2)) : 0;
          return (x + 0.5 - a[0] - t * dx) ** 2 + (y + 0.5 - a[1] - t * dy) ** 2 <= (size / 2) ** 2 + 1e-9;
        });
        if (near) pixels[y * 256 + x] = on;
      }
    }
  }
  return pixels;
}

test("the mask on the disk is the strokes, pixel by pixel, and undo leads back to no mask", async () => {
  const page = await open(the.chrome, the.studio.address);
  const file = join(the.place.folder, "masks/burr/part-100_mask.png");
  const at = await edit(page, the.studio.address, "unlabelled/part-100.png");
  await page.getByPlaceholder("Type of defect").fill("burr");
  await page.getByPlaceholder("Type of defect").blur();
  await page.locator(".stage").click({ position: { x: 2, y: 2 }, button: "middle" });
  // No point half-way between two places that a brush can be at: which one is nearer is then a matter of rounding.
  const paths = [
    { size: 1, points: [[20.3, 30.6], [90.2, 61.7], [90.4, 120.1]] },
    { size: 8, points: [[130.7, 40.3], [200.2, 80.9]] },
    { size: 3, points: [[60.5, 200.5], [61.5, 180.2], [140.7, 230.3]] },
    { size: 8, points: [[160.1, 58.3], [170.4, 20.2]], on: 0 },
  ];
  for (const { size, points, on } of paths) {
    await brush(page, size);
    await page.keyboard.press(on === 0 ? "x" : "b");
    await stroke(page, at, points);
  }
  await until(() => existsSync(file), "the mask is there");
  await saved(page);
  assert.ok(existsSync(join(the.place.folder, "bad/burr/part-100.png")), "whoever draws a defect labels the image");
  const mask = decodePng(await readFile(file));
  assertSame(mask.pixels, expected(paths));

  for (let i = 0; i < 4; i++) await page.keyboard.press("Control+z");
  await until(() => !existsSync(file), "undone to no mask");
  for (let i = 0; i < 4; i++) await page.keyboard.press("Control+Shift+z");
  await until(() => existsSync(file), "done again");
  await saved(page);
  assertSame(decodePng(await readFile(file)).pixels, expected(paths));
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("kill -9 in the middle of a stroke loses that stroke at most, and the page goes on after a restart", async () => {
  const page = await open(the.chrome, the.studio.address);
  const file = join(the.place.folder, "masks/stain/part-300_mask.png");
  const at = await edit(page, the.studio.address, "bad/stain/part-300.png");
  await page.getByRole("button", { name: "Clear" }).click();
  await saved(page);
  await brush(page, 5);
  const first = { size: 5, points: [[40.5, 40.5], [120.5, 90.5]] };
  await stroke(page, at, first.points);
  await saved(page);
  const second = { size: 5, points: [[40.5, 160.5], [150.5, 170.5]] };
  await page.mouse.move(...at(...second.points[0]));
  await page.mouse.down();
  await page.mouse.move(...at(...second.points[1]));
  await the.studio.stop("SIGKILL");
  assertSame(decodePng(await readFile(file)).pixels, expected([first]));
  await page.mouse.up();
  await page.getByText("Not saved: the studio does not answer").waitFor();
  the.studio = await start(the.place.folder, the.studio.port);
  await saved(page);
  assertSame(decodePng(await readFile(file)).pixels, expected([first, second]));
  await page.context().close();
});

test("a mask that another program changed is not written over unasked", async () => {
  const page = await open(the.chrome, the.studio.address);
  const file = join(the.place.folder, "masks/scratch/part-200_mask.png");
  const at = await edit(page, the.studio.address, "bad/scratch/part-200.png");
  await writeFile(file, await readFile(join(the.place.folder, "masks/scratch/part-201_mask.png")));
  await stroke(page, at, [[100, 100], [110, 110]]);
  await page.getByText("The mask was changed elsewhere.").waitFor();
  assert.deepEqual(await readFile(file), await readFile(join(the.place.folder, "masks/scratch/part-201_mask.png")));
  await page.getByRole("button", { name: "Keep mine" }).click();
  await saved(page);
  assert.notDeepEqual(await readFile(file), await readFile(join(the.place.folder, "masks/scratch/part-201_mask.png")));
  await page.context().close();
});

test("other sites, other names and other paths are refused", async () => {
  const ask = (path, headers = {}, method = "POST") => fetch(the.studio.address + path, { method, headers }).then((r) => r.status);
  assert.equal(await ask("/api/undo"), 403);
  assert.equal(await ask("/api/undo", { "x-bgad-studio": "1", origin: "http://evil.example" }), 403);
  for (const id of ["../secret.png", "/etc/passwd", "good/../../x.png", "bad/%2e%2e/x.png"]) {
    assert.equal(await ask(`/api/image?id=${encodeURIComponent(id)}`, {}, "GET"), 404, id);
  }
  const label = { ids: ["good/part-000.png"], label: "bad", type: "../../outside" };
  assert.equal((await call(the.studio.address, "/api/label", label)).status, 400);
});

test("a change of files is seen within a second", async () => {
  const page = await open(the.chrome, the.studio.address);
  await page.locator('[role="option"]').first().waitFor();
  const label = page.getByText(/^All \d+$/);
  const count = async () => Number((await label.textContent()).replace(/\D/g, ""));
  const was = await count();
  await writeFile(join(the.place.folder, "unlabelled/new.png"), await readFile(join(the.place.folder, "good/part-001.png")));
  const started = Date.now();
  await until(async () => (await count()) === was + 1, "one more", 10_000);
  const took = Date.now() - started;
  // What a person waits on an idle machine; here others may be at work.
  assert.ok(took < 3000, `${took} ms`);
  await page.context().close();
});
