/** Training is paused and goes on; after kill -9 it goes on from where it was; one waits for the other. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, call, open, start, temporary, until } from "./studio.mjs";

let chrome, place, studio;

before(async () => {
  chrome = await browser();
  place = await temporary();
  studio = await start(place.folder);
  await call(studio.address, "/api/demo", {});
});

after(async () => {
  await chrome?.close();
  await studio?.stop();
  await place?.remove();
});

const jobs = async () => (await call(studio.address, "/api/jobs", undefined, "GET")).body.jobs;
const job = async (id) => (await jobs()).find((one) => one.id === id);
const SLOW = 300_000;

test("a training is paused, goes on, survives kill -9, and the next one waits", { timeout: 900_000 }, async () => {
  const task = (name) => ({ kind: "train", name, preset: "quick", input: "64", schedule: "3x2", anomalies: 4, hold_out: 0, seed: 0 });
  const first = (await call(studio.address, "/api/jobs", task("one"))).body.id;
  const again = await call(studio.address, "/api/jobs", task("one"));
  assert.equal(again.status, 409, "a name is taken while its training is under way");
  const second = (await call(studio.address, "/api/jobs", task("two"))).body.id;
  let page = await open(chrome, studio.address);
  await page.goto(`${studio.address}/#/train`);
  const line = () => page.locator("li.job").filter({ hasText: "Train one" });
  await until(async () => (await job(first)).progress.stage === "training" && (await job(first)).progress.losses.length > 0, "a pass is done", SLOW);

  await line().getByRole("button", { name: "Pause" }).click();
  await line().getByText("paused", { exact: true }).waitFor();
  // It pauses at its next question, within a step of training.
  let passes = -1;
  await until(async () => {
    const now = (await job(first)).progress.losses.length;
    const still = now === passes;
    passes = now;
    await new Promise((done) => setTimeout(done, 1500));
    return still;
  }, "nothing moves any more");
  assert.equal((await job(second)).state, "queued", "one at a time");
  await line().getByRole("button", { name: "Go on" }).click();
  await line().getByText("running", { exact: true }).waitFor();
  await until(async () => existsSync(join(place.folder, "models/one.bgad.checkpoint")), "a checkpoint is there", SLOW);
  assert.ok(["running", "paused"].includes((await job(first)).state), "it is still under way");

  await studio.stop("SIGKILL");
  studio = await start(place.folder, studio.port);
  await page.context().close();
  page = await open(chrome, studio.address);
  await page.goto(`${studio.address}/#/train`);
  await line().getByText("interrupted", { exact: true }).waitFor();
  assert.ok(!existsSync(join(place.folder, "models/one.bgad")), "no half model");
  await line().getByRole("button", { name: "Go on" }).click();
  await until(async () => (await job(first)).state === "done", "it is done", SLOW);
  assert.ok(existsSync(join(place.folder, "models/one.bgad")));
  assert.ok(!existsSync(join(place.folder, "models/one.bgad.checkpoint")), "what it went on from is tidied away");
  await call(studio.address, `/api/jobs/${second}/resume`, {});
  await page.locator("li.job").filter({ hasText: "Train two" }).getByRole("button", { name: "Cancel" }).click();
  await until(async () => (await job(second)).state === "cancelled", "it is cancelled", SLOW);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
