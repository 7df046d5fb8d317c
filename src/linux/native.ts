/** Numbers as the kernel has them in memory. */

/** 32 bits, in the byte order of the machines that hnvgw runs on, little endian. */
export function native32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
