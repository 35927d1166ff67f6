import { constants } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Filesystem } from '../../src/filesystem/api.js';
import { long, runs } from '../support/extent.js';
import { captured } from './captured-requests.js';
import { FakeDevice, request } from './fake-device.js';
import { MemoryFilesystem } from './memory-filesystem.js';
import { recordingFilesystem } from './recording-filesystem.js';

const { EIO } = constants.errno;

describe('whatever comes from the device', () => {
  const kinds = Object.keys(captured).filter((kind) => kind !== 'init') as (keyof typeof captured)[];
  const silent = new Set([2, 36, 42]);

  /** Sends it to a session over both kinds of file system; throws where an answer is missing, doubled or malformed. */
  async function survive(bytes: Buffer): Promise<void> {
    const memory = new MemoryFilesystem();
    await memory.mkdir(memory.root, 'dir', 0o755);
    for (const fs of [recordingFilesystem().fs, memory] as Filesystem[]) {
      const device = new FakeDevice(fs);
      device.send(Buffer.from(bytes));
      await new Promise((resolve) => setImmediate(resolve));
      const wellFormed = bytes.length >= 40 && bytes.readUInt32LE(0) === bytes.length;
      const extensions = wellFormed ? bytes.readUInt16LE(36) * 8 : 0;
      const answerable = wellFormed && bytes.length - extensions >= 40 && !silent.has(bytes.readUInt32LE(4));
      expect(device.answers.length).toBe(answerable ? 1 : 0);
      if (!wellFormed) expect(device.complaints).toHaveLength(1);
    }
  }

  it('answers truncated requests with an error, never with a crash', long, async () => {
    for (const kind of kinds) {
      const whole = Buffer.from(captured[kind], 'hex');
      for (let length = 0; length < whole.length; length++) {
        await survive(whole.subarray(0, length));
        if (length < 40) continue;
        const honest = Buffer.from(whole.subarray(0, length));
        honest.writeUInt32LE(length);
        await survive(honest);
      }
    }
  });

  it('answers garbage', async () => {
    const mutated = fc
      .record({
        kind: fc.constantFrom(...kinds),
        opcode: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(60) }),
        changes: fc.array(fc.record({ at: fc.nat(200), value: fc.nat(255) }), { maxLength: 12 }),
        tail: fc.uint8Array({ maxLength: 40 }),
      })
      .map(({ kind, opcode, changes, tail }) => {
        const bytes = Buffer.concat([Buffer.from(captured[kind], 'hex'), tail]);
        bytes.writeUInt32LE(bytes.length);
        // The length and the number of the request stay: they are what an answer is measured by.
        for (const { at, value } of changes) if (at >= 16 && at < bytes.length) bytes[at] = value;
        if (opcode !== undefined && opcode !== 26) bytes.writeUInt32LE(opcode, 4);
        return bytes;
      });
    await fc.assert(fc.asyncProperty(mutated, survive), { numRuns: runs(2000) });
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        survive,
      ),
    );
  });

  it('answers EIO to what a file system must not throw', () => {
    const fs = new MemoryFilesystem();
    fs.plan('getattr', () => {
      throw 'not even an error';
    });
    const device = new FakeDevice(fs);
    expect(device.ask(request('getattr'))).toMatchObject({ error: -EIO });
    expect(device.complaints).toHaveLength(1);
  });
});
