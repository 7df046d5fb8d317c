/**
 * The thread that reads big policy documents for DocumentThread. It sends the entries in slices, each when the main thread
 * asks for it, so that taking them over never holds up the main thread for long.
 */
import { parentPort } from 'node:worker_threads';
import { type ErrorCode, HnvError } from '../errors.ts';
import type { DocumentEntry, Entry } from '../store/store.ts';
import { documentEntries } from './document.ts';
import { parseOutline } from './document-outline.ts';

/** What the worker is told: a document to read, or to go on with it. */
export type DocumentWorkerMessage = Uint8Array | 'next';

/** What it answers: a slice of the entries, the last of which is empty; or the refusal, the parts of an HnvError. */
export type DocumentWorkerAnswer =
  | { entries: DocumentEntry[] }
  | { refusal: { code: ErrorCode; message: string; pointer?: string; rule?: string } };

/** Most objects in a slice, which the main thread takes about a millisecond for. */
const SLICE_OBJECTS = 512;
/** Characters of text that cost as much as an object. */
const PEM_LENGTH = 2048;

if (parentPort === null) throw new Error('document-worker runs as a worker thread only.');
const port = parentPort;

let rest: Iterator<DocumentEntry> = [].values();

function nextSlice(): DocumentEntry[] {
  const entries: DocumentEntry[] = [];
  for (let objects = 0; objects < SLICE_OBJECTS; ) {
    const { value, done } = rest.next();
    if (done) {
      // What it came from is not needed any more.
      rest = [].values();
      break;
    }
    entries.push(value);
    objects += objectsIn(value.entry);
  }
  return entries;
}

/** What taking it over costs, in objects of the usual size. */
function objectsIn(entry: Entry): number {
  if (entry.kind === 'nat') return 1 + entry.value.staticMappings.length;
  if (entry.kind === 'bgp') return 1 + entry.value.peers.length + entry.value.policies.length;
  if (entry.kind !== 'siteConnection') return 1;
  const { certificateAuthorities = '', revocationLists = '' } = entry.value.authentication;
  return 8 + (certificateAuthorities.length + revocationLists.length) / PEM_LENGTH;
}

function answerTo(message: DocumentWorkerMessage): DocumentWorkerAnswer {
  try {
    if (message !== 'next') rest = documentEntries(parseOutline(message));
    return { entries: nextSlice() };
  } catch (error) {
    rest = [].values();
    if (!(error instanceof HnvError)) throw error;
    const { code, message: sentence, pointer, rule } = error;
    return {
      refusal: {
        code,
        message: sentence,
        ...(pointer === undefined ? {} : { pointer }),
        ...(rule === undefined ? {} : { rule }),
      },
    };
  }
}

port.on('message', (message: DocumentWorkerMessage) => port.postMessage(answerTo(message)));
