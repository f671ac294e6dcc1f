/** Runs the real binary on a folder of its own, and a real browser on it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";
import { chromium } from "playwright-core";

export const BINARY = process.env.BGAD_BINARY ?? fail("BGAD_BINARY is not set: the path of the bgad program to test");
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** A browser that keeps to itself. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function fail(message) {
  throw new Error(message);
}

/** The studio on `folder`; a given port is used again after a restart. */
export const start = (folder, port = 0) => run(["studio", folder, "--http", `127.0.0.1:${port}`, "--no-open"]);

/** A server of the models in `repository`. */
export const serve = (repository) => run(["serve", "--repository", repository, "--http", "127.0.0.1:0"]);

async function run(words) {
  const child = spawn(BINARY, words, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const address = await new Promise((resolve, reject) => {
    const listen = (text) => {
      said += text;
      const found = /(http:\/\/127\.0\.0\.1:\d+)\D/.exec(said);
      if (found) resolve(found[1]);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("exit", (code) => reject(new Error(`bgad ${words[0]} ended with ${code}: ${said}`)));
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  return {
    address,
    port: Number(new URL(address).port),
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await ended;
    },
  };
}

export async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), "bgad-studio-"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** What a file of tests works on: the browser, a folder, and the studio on it with the demo project; made before, taken away after. */
export function scene() {
  const made = {};
  before(async () => {
    made.chrome = await browser();
    made.place = await temporary();
    made.studio = await start(made.place.folder);
    await call(made.studio.address, "/api/demo", {});
  });
  after(async () => {
    await made.chrome?.close();
    await made.studio?.stop();
    await made.place?.remove();
  });
  return made;
}

export function browser() {
  return chromium.launch({ executablePath: BROWSER, args: ARGUMENTS });
}

/**
 * A page that fails the test when a script fails or anything is asked of another machine. While one works on the page, DIST
 * can name a folder whose files take the place of those in the program; the checks leave it unset.
 */
export async function open(chrome, address, { width = 1440, height = 900, scheme = "light", language = "en-GB" } = {}) {
  const context = await chrome.newContext({ viewport: { width, height }, colorScheme: scheme, locale: language, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== address && !["blob:", "data:"].includes(protocol)) page.problems.push(`asked ${request.url()}`);
  });
  page.setDefaultTimeout(60_000);
  if (process.env.DIST) await page.route(/\/studio\.(js|css)$/, (route) => route.fulfill({ path: join(process.env.DIST, new URL(route.request().url()).pathname) }));
  await page.goto(address);
  return page;
}

/** Calls the server as its page does. */
export async function call(address, path, body, method = "POST") {
  const response = await fetch(address + path, {
    method,
    headers: { "x-bgad-studio": "1", "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

/** Waits until a check holds. */
export async function until(check, what, ms = 60_000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`after ${ms} ms still not: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** A grey PNG of 8 or 16 bits a pixel. */
export function encodePng(width, height, bits, at) {
  const bytes = bits / 8;
  const row = width * bytes + 1;
  const raw = Buffer.alloc(row * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) raw.writeUIntBE(at(x, y), y * row + 1 + x * bytes, bytes);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = bits;
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", deflateSync(raw, { level: 1 })), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(kind, body) {
  const data = Buffer.concat([Buffer.from(kind), body]);
  const out = Buffer.alloc(data.length + 8);
  out.writeUInt32BE(body.length);
  data.copy(out, 4);
  out.writeUInt32BE(crc(data), data.length + 4);
  return out;
}

const CRC = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = (n >>> 1) ^ (n & 1 ? 0xedb88320 : 0);
  return n >>> 0;
});

/** CRC-32; Node has it from version 20.15 on. */
function crc(data) {
  let sum = 0xffffffff;
  for (const byte of data) sum = (sum >>> 8) ^ CRC[(sum ^ byte) & 255];
  return ~sum >>> 0;
}

/** Opens an image in the editor and waits until it can be drawn on. Gives the place in the page of a place in the image. */
export async function edit(page, address, id, [width, height] = [256, 256]) {
  await page.goto(`${address}/#/edit/${encodeURIComponent(id)}`);
  await page.reload();
  await page.getByText(`${width} × ${height}`).waitFor();
  const box = await page.locator(".stage").boundingBox();
  // As the stage fits a picture: centred, 98 % of what fits, in whole pixels.
  const [across, down] = [Math.floor(box.width), Math.floor(box.height)];
  const scale = Math.min(across / width, down / height) * 0.98;
  const [left, top] = [box.x + (across - width * scale) / 2, box.y + (down - height * scale) / 2];
  return (x, y) => [left + x * scale, top + y * scale];
}

/** Presses, moves and lets go. */
export async function stroke(page, at, points) {
  const [first, ...rest] = points;
  await page.mouse.move(...at(...first));
  await page.mouse.down();
  for (const point of rest) await page.mouse.move(...at(...point));
  await page.mouse.up();
}

/** Waits until the editor says that everything is on the disk. */
export const saved = (page) => page.locator(".save.saved").waitFor();

/** Two pictures of 256 x 256 are the same, pixel by pixel. */
export function assertSame(found, wanted) {
  const different = [...found.keys()].filter((i) => found[i] !== wanted[i]);
  const where = different.slice(0, 12).map((i) => `${i % 256},${i >> 8} is ${found[i]}`);
  assert.equal(different.length, 0, `${different.length} pixels differ: ${where.join("; ")}`);
}

/** Pixels of a grey 8-bit PNG, the only kind that masks are. */
export function decodePng(bytes) {
  let at = 8;
  const data = [];
  let head;
  while (at < bytes.length) {
    const size = bytes.readUInt32BE(at);
    const kind = bytes.toString("latin1", at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + size);
    if (kind === "IHDR") head = { width: body.readUInt32BE(0), height: body.readUInt32BE(4), depth: body[8], color: body[9] };
    if (kind === "IDAT") data.push(body);
    at += 12 + size;
  }
  const { width, height, depth, color } = head;
  if (depth !== 8 || color !== 0) throw new Error(`a mask is a grey 8-bit PNG, found depth ${depth}, colour ${color}`);
  const raw = inflateSync(Buffer.concat(data));
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (width + 1)];
    for (let x = 0; x < width; x++) {
      const left = x > 0 ? pixels[y * width + x - 1] : 0;
      const up = y > 0 ? pixels[(y - 1) * width + x] : 0;
      const corner = x > 0 && y > 0 ? pixels[(y - 1) * width + x - 1] : 0;
      const paeth = () => {
        const p = left + up - corner;
        const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
        return a <= b && a <= c ? left : b <= c ? up : corner;
      };
      const predicted = [0, left, up, (left + up) >> 1, filter === 4 ? paeth() : 0][filter];
      pixels[y * width + x] = (raw[y * (width + 1) + 1 + x] + predicted) & 255;
    }
  }
  return { width, height, pixels };
}
