/** Images come into a project by copy, by link and by drop, and go out again by undo. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, call, decodePng, open, start, temporary, until } from "./studio.mjs";

let chrome, place, from;

before(async () => {
  chrome = await browser();
  place = await temporary();
  // The demonstration is a folder like any other.
  from = join(place.folder, "from");
  const drawing = await start(from);
  await call(drawing.address, "/api/demo", {});
  await drawing.stop();
});

after(async () => {
  await chrome?.close();
  await place?.remove();
});

const same = async (a, b) => (await stat(a)).ino === (await stat(b)).ino;

for (const [how, name] of [["Copy", "copied"], ["Link", "linked"]]) {
  test(`a folder is ${name}`, { timeout: 120_000 }, async () => {
    const to = join(place.folder, name);
    const studio = await start(to);
    const page = await open(chrome, studio.address);
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByLabel("Folder on this machine").fill(from);
    await page.locator("dialog .choice span").filter({ hasText: how }).click();
    await page.locator("dialog").getByRole("button", { name: "Import", exact: true }).click();
    // What nobody has labelled is no part of a data set.
    await page.getByText("All 68", { exact: true }).waitFor();
    for (const image of ["good/part-003.png", "bad/scratch/part-200.png"]) {
      assert.equal(await same(join(from, image), join(to, image)), how === "Link", image);
      assert.deepEqual(await readFile(join(from, image)), await readFile(join(to, image)));
    }
    const mask = "masks/scratch/part-200_mask.png";
    assert.equal(await same(join(from, mask), join(to, mask)), false, "a mask is drawn on, so it is the project's own");
    const pixels = async (folder) => decodePng(await readFile(join(folder, mask))).pixels;
    assert.deepEqual(await pixels(to), await pixels(from));

    await page.locator(".toast").getByRole("button", { name: "Undo" }).click();
    await page.getByText("This project is empty").waitFor();
    assert.ok(existsSync(join(from, "good/part-003.png")) && existsSync(join(from, mask)), "the folder is as it was");
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await studio.stop();
  });
}

test("what is dropped on the page is an unlabelled image", { timeout: 60_000 }, async () => {
  const to = join(place.folder, "dropped");
  const studio = await start(to);
  const page = await open(chrome, studio.address);
  const bytes = [...(await readFile(join(from, "good/part-001.png")))];
  await page.evaluate((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "camera.png"));
    data.items.add(new File(["text"], "notes.png"));
    dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
  }, bytes);
  await until(() => existsSync(join(to, "unlabelled/camera.png")), "the image is there");
  await page.getByText("notes.png: expected a PNG, JPEG, BMP, TIFF, WebP or PNM image").waitFor();
  await page.context().close();
  await studio.stop();
});
