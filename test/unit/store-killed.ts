/** A process that writes a routing domain to the store at PATH and is killed: its file has a write-ahead log then. */
import { openStore } from '../../src/store/sqlite.ts';
import { capacity, contoso, putDomain } from './store-folder.ts';

const store = await openStore({ path: process.argv[2] ?? '', capacity });
await putDomain(store, contoso, 5001);
process.kill(process.pid, 'SIGKILL');
