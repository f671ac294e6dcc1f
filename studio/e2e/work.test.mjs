/** Saved thresholds are undone. Training is paused and goes on; after kill -9 it goes on from where it was; one waits for the other. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { call, open, scene, start, until } from "./studio.mjs";

const the = scene();

const jobs = async () => (await call(the.studio.address, "/api/jobs", undefined, "GET")).body.jobs;
const job = async (id) => (await jobs()).find((one) => one.id === id);
const SLOW = 300_000;

test("a training is paused, goes on, survives kill -9, and the next one waits", { timeout: 900_000 }, async () => {
  // Long enough that it is still under way at each step, on a fast machine too.
  const task = (name) => ({ kind: "train", name, preset: "quick", input: "64", schedule: "40x2", anomalies: 4, hold_out: 0, seed: 0 });
  const first = (await call(the.studio.address, "/api/jobs", task("one"))).body.id;
  const again = await call(the.studio.address, "/api/jobs", task("one"));
  assert.equal(again.status, 409, "a name is taken while its training is under way");
  const second = (await call(the.studio.address, "/api/jobs", task("two"))).body.id;
  let page = await open(the.chrome, the.studio.address);
  await page.goto(`${the.studio.address}/#/train`);
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
  await until(async () => existsSync(join(the.place.folder, "models/one.bgad.checkpoint")), "a checkpoint is there", SLOW);
  assert.ok(["running", "paused"].includes((await job(first)).state), "it is still under way");

  await the.studio.stop("SIGKILL");
  the.studio = await start(the.place.folder, the.studio.port);
  await page.context().close();
  page = await open(the.chrome, the.studio.address);
  await page.goto(`${the.studio.address}/#/train`);
  await line().getByText("interrupted", { exact: true }).waitFor();
  assert.ok(!existsSync(join(the.place.folder, "models/one.bgad")), "no half model");
  await line().getByRole("button", { name: "Go on" }).click();
  await until(async () => (await job(first)).state === "done", "it is done", SLOW);
  assert.ok(existsSync(join(the.place.folder, "models/one.bgad")));
  assert.ok(!existsSync(join(the.place.folder, "models/one.bgad.checkpoint")), "what it went on from is tidied away");
  await call(the.studio.address, `/api/jobs/${second}/resume`, {});
  await page.locator("li.job").filter({ hasText: "Train two" }).getByRole("button", { name: "Cancel" }).click();
  await until(async () => (await job(second)).state === "cancelled", "it is cancelled", SLOW);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("saved thresholds are undone, unless somebody else has set others", { timeout: 120_000 }, async () => {
  const model = join(the.place.folder, "models/one.bgad");
  const thresholds = async () => (await call(the.studio.address, "/api/models", undefined, "GET")).body.models.find((one) => one.name === "one").facts.thresholds;
  const set = async (ok, ng) => assert.equal((await call(the.studio.address, "/api/thresholds", { model: "one", wanted: { by_hand: { ok, ng } } })).status, 200);
  const first = await thresholds();
  const page = await open(the.chrome, the.studio.address);
  await set(2.5, 7.5);
  assert.deepEqual(await thresholds(), { ok: 2.5, ng: 7.5 });
  await page.locator('[role="option"]').first().waitFor();
  await page.keyboard.press("Control+z");
  await page.getByText("Undone").waitFor();
  assert.deepEqual(await thresholds(), first);

  await set(2.5, 7.5);
  await copyFile(model, `${model}.copy`);
  await set(3, 8);
  await copyFile(`${model}.copy`, model);
  const refused = await call(the.studio.address, "/api/undo", {});
  assert.equal(refused.status, 422);
  assert.match(refused.body.error, /set elsewhere meanwhile/);
  assert.deepEqual(await thresholds(), { ok: 2.5, ng: 7.5 });
  assert.equal((await call(the.studio.address, "/api/undo", {})).body.undone.what, "thresholds");
  assert.deepEqual(await thresholds(), first, "what was changed before can still be undone");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
