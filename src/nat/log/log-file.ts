/**
 * A file that whole lines are appended to. It never waits and never throws: what cannot be written (disk full, folder missing) is
 * kept and tried again each second; when that is too much, lines are lost, and counted. When somebody has moved the file away,
 * a new one is begun.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { record } from './records.ts';

const MODE = 0o640;
/** How late a line may be in the file. */
const FLUSH_MS = 100;
/** How late it is noticed that the file was moved away, or can be written again. */
const LOOK_MS = 1000;
/** Waiting characters that are written at once, and the most that are kept. */
const MANY = 256 * 1024;
const MOST = 16 * 1024 * 1024;
const LINE_FEED = 0x0a;

const { O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_RDWR } = constants;

export class LogFile {
  readonly #path: string;
  readonly #head: () => string;
  readonly #look: NodeJS.Timeout;
  #fd: number | undefined;
  #waiting = '';
  #flush: NodeJS.Timeout | undefined;
  #failure: string | undefined;
  #lost: { records: number; from: number; to: number } | undefined;
  #wholeUntil: number | undefined;

  /** When an earlier process last found the file to be whole (see wholeUntil()), milliseconds since 1970; when there is one. */
  readonly wholeBefore: number | undefined;

  /** `head`: lines that every file begins with, made when it is opened. */
  constructor(path: string, head: () => string) {
    this.#path = path;
    this.#head = head;
    this.wholeBefore = this.#open();
    this.#look = setInterval(() => this.#lookAfter(), LOOK_MS);
  }

  /** Why lines are not written just now, or that some were lost since the last that was; a sentence. */
  get failure(): string | undefined {
    if (this.#failure === undefined) return undefined;
    const lost = this.#lost === undefined ? '' : `; ${this.#lost.records} records were lost`;
    return `The NAT log ${this.#path} cannot be written: ${this.#failure}${lost}.`;
  }

  /** Lines with their ends. */
  append(lines: string): void {
    if (this.#waiting.length + lines.length > MOST) {
      this.#lose(lines);
      return;
    }
    this.#waiting += lines;
    if (this.#failure !== undefined) return;
    if (this.#waiting.length >= MANY) this.flush();
    else this.#flush ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** Everything until then, milliseconds since 1970, is in the file or was appended: its time of change will say so. */
  wholeUntil(time: number): void {
    this.#wholeUntil = time;
  }

  /** Writes what waits. */
  flush(): void {
    clearTimeout(this.#flush);
    this.#flush = undefined;
    if (this.#fd === undefined) this.#open();
    if (this.#fd === undefined) return;
    if (this.#waiting !== '') {
      const bytes = Buffer.from(this.#waiting);
      const written = this.#write(this.#fd, bytes);
      this.#waiting = written === bytes.length ? '' : bytes.toString('utf8', written);
    }
    if (this.#waiting !== '') return;
    if (this.#lost !== undefined) {
      const { records, from, to } = this.#lost;
      this.#lost = undefined;
      const span = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
      this.append(record(Date.now(), 'lost', { records, ...span }));
    }
    if (this.#wholeUntil === undefined) return;
    const seconds = this.#wholeUntil / 1000;
    futimesSync(this.#fd, seconds, seconds);
  }

  close(): void {
    clearInterval(this.#look);
    this.flush();
    // The record of what was lost.
    if (this.#failure === undefined) this.flush();
    clearTimeout(this.#flush);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #lookAfter(): void {
    if (this.#fd !== undefined && !this.#isInPlace(this.#fd)) {
      closeSync(this.#fd);
      this.#fd = undefined;
    }
    this.flush();
  }

  #isInPlace(fd: number): boolean {
    try {
      const there = statSync(this.#path);
      const own = fstatSync(fd);
      return there.ino === own.ino && there.dev === own.dev;
    } catch {
      return false;
    }
  }

  /** Answers when the file was last changed, if it has anything. */
  #open(): number | undefined {
    try {
      let fd: number;
      try {
        fd = openSync(this.#path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NONBLOCK, MODE);
        fchmodSync(fd, MODE);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        fd = openSync(this.#path, O_RDWR | O_APPEND | O_NONBLOCK);
      }
      this.#fd = fd;
      const { size, mtimeMs } = fstatSync(fd);
      // The last line of a process that was killed while it wrote.
      const last = Buffer.alloc(1);
      const isCut = size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== LINE_FEED;
      this.#waiting = (isCut ? '\n' : '') + this.#head() + this.#waiting;
      this.#failure = undefined;
      return size > 0 ? mtimeMs : undefined;
    } catch (error) {
      this.#failure = reasonOf(error);
      return undefined;
    }
  }

  /** Answers how many bytes of whole lines are in the file: a part of a line is taken back. */
  #write(fd: number, bytes: Buffer): number {
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(fd, bytes, at);
      this.#failure = undefined;
      return at;
    } catch (error) {
      this.#failure = reasonOf(error);
      const whole = at === 0 ? 0 : bytes.lastIndexOf(LINE_FEED, at - 1) + 1;
      if (whole < at) ftruncateSync(fd, fstatSync(fd).size - (at - whole));
      return whole;
    }
  }

  #lose(lines: string): void {
    const now = Date.now();
    this.#lost ??= { records: 0, from: now, to: now };
    this.#lost.records += lines.split('\n').length - 1;
    this.#lost.to = now;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
