/** Saves a mask as it is drawn: changed tiles only, one request at a time, never over what somebody else has written. */
import type { Bitmask } from "./bitmask";

export type SaveState = "saved" | "saving" | "offline" | "conflict" | "failed";

export type Answer = { ok: true; name: string } | { ok: false; conflict: string } | { ok: false; error: string };
export type Send = (name: string, tiles: Uint8Array<ArrayBuffer>) => Promise<Answer>;

/** Between two tries while the server is not there, milliseconds. */
const RETRY = 1500;

export class Saver {
  state: SaveState = "saved";
  error = "";
  private readonly pending = new Set<number>();
  private sending: Promise<void> | undefined;
  private other = "";

  constructor(
    private readonly mask: Bitmask,
    /** What the server called the mask when it was read. */
    private name: string,
    private readonly send: Send,
    private readonly onChange: (saver: Saver) => void,
    private readonly wait: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms)),
  ) {}

  /** These tiles have changed. */
  changed(tiles: Iterable<number>): void {
    for (const index of tiles) this.pending.add(index);
    if (this.pending.size > 0 && this.state !== "conflict") this.start();
  }

  /** Whether everything is on the disk. */
  get isSaved(): boolean {
    return this.pending.size === 0 && !this.sending;
  }

  /** Resolves when everything is on the disk, or cannot be now. */
  async settled(): Promise<void> {
    await this.sending;
  }

  /** After a conflict: writes this mask over the other. */
  keepMine(): void {
    this.name = this.other;
    this.mask.tiles.forEach((_, index) => this.pending.add(index));
    for (let index = 0; index < this.mask.columns * this.mask.rows; index++) this.pending.add(index);
    this.start();
  }

  private start(): void {
    this.sending ??= this.work().finally(() => {
      this.sending = undefined;
      this.onChange(this);
    });
  }

  private async work(): Promise<void> {
    while (this.pending.size > 0) {
      const tiles = [...this.pending];
      this.pending.clear();
      this.tell("saving");
      let answer: Answer;
      try {
        answer = await this.send(this.name, this.mask.encode(tiles));
      } catch {
        for (const index of tiles) this.pending.add(index);
        this.tell("offline");
        await this.wait(RETRY);
        continue;
      }
      if (answer.ok) {
        this.name = answer.name;
        continue;
      }
      for (const index of tiles) this.pending.add(index);
      if ("conflict" in answer) {
        this.other = answer.conflict;
        this.tell("conflict");
      } else {
        this.error = answer.error;
        this.tell("failed");
      }
      return;
    }
    this.tell("saved");
  }

  private tell(state: SaveState): void {
    this.state = state;
    this.onChange(this);
  }
}
