/**
 * When the policy gives an address another MAC (a learned move, a failover without virtual MAC, a changed record), the
 * VMs of this node that have talked to the old one would go on sending to it: they are told the new one. From other
 * nodes nothing comes for that, because every host announces to its own VMs.
 */
import type { DomainAttachments } from '../encap/entries.ts';
import type { DomainPlan, PortPlan, RecordPlan } from '../policy/plan.ts';
import { announcementFrame } from './neighbour-frames.ts';

/** Sends a frame to what is behind the interface. */
export type SendFrame = (ifindex: number, frame: Uint8Array) => void;

export class Announcements {
  readonly #send: SendFrame;
  /** By RDID: what neighbours of this node may believe, address to MAC. */
  readonly #believed = new Map<string, Map<string, string>>();

  constructor(send: SendFrame) {
    this.#send = send;
  }

  /** The data plane has the plan: announces what is different from the plan before. */
  apply(plan: DomainPlan, { ports: attached }: DomainAttachments): void {
    const ports = plan.ports.filter((port) => attached.has(port.interface));
    const vsids = new Set(ports.map(({ vsid }) => vsid));
    const before = this.#believed.get(plan.rdid);
    const believed = new Map<string, string>();
    for (const record of plan.records) {
      if (!vsids.has(record.vsid)) continue;
      believed.set(record.address, record.mac);
      const old = before?.get(record.address);
      if (old === undefined || old === record.mac) continue;
      const frame = announcementFrame(record.address, record.mac);
      for (const port of ports) {
        const ifindex = attached.get(port.interface)?.ifindex;
        if (port.vsid !== record.vsid || isBehind(port, record) || ifindex === undefined) continue;
        this.#send(ifindex, frame);
      }
    }
    if (believed.size > 0) this.#believed.set(plan.rdid, believed);
    else this.#believed.delete(plan.rdid);
  }

  forget(rdid: string): void {
    this.#believed.delete(rdid);
  }
}

/** Whether the port is the one that has the address. */
function isBehind(port: PortPlan, { address, mac, isLocal }: RecordPlan): boolean {
  if (!isLocal) return false;
  return port.mac === mac || port.learnedMacs.includes(mac) || port.addresses.includes(address);
}
