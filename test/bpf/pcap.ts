/** Frames as a capture file (pcap, link type Ethernet), for tshark to read. */

const HEADER = 24;
const RECORD = 16;
const ETHERNET = 1;
const SNAP_LENGTH = 0x40000;

/**
 * What a program leaves of a tunnelled frame still has the Ethernet header that it came with, and the kernel writes
 * another one on the way out: here the type is made to fit.
 */
function withType(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  const version = (copy[14] ?? 0) >> 4;
  if (copy.readUInt16BE(12) !== 0x0806) copy.writeUInt16BE(version === 6 ? 0x86dd : 0x0800, 12);
  return copy;
}

export function captureFile(frames: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(SNAP_LENGTH, 16);
  header.writeUInt32LE(ETHERNET, 20);
  const records = frames.map(withType).map((frame, index) => {
    const record = Buffer.alloc(RECORD);
    record.writeUInt32LE(index, 0);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([record, frame]);
  });
  return Buffer.concat([header, ...records]);
}
