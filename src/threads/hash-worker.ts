/** The thread of hash-thread.ts: reads spans of files and hashes them. It may block, so it reads with plain system calls. */
import { createHash, type Hash } from 'node:crypto';
import { fstatSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { type FileSpan, firstWrongPart } from '../base/content-hasher.js';
import { messageOf } from '../base/errors.js';
import { RunningDigest } from '../base/running-digest.js';
import type { HashAnswer, HashRequest, HashResult } from './hash-messages.js';
import { lowerPriority } from './thread-priority.js';

/** Bytes of a file read and hashed at a time: they are still in the core's cache when they are hashed. */
const PART = 256 * 1024;

const hashes = new Map<number, Hash>();
const digests = new Map<number, RunningDigest>();
let buffer = Buffer.alloc(0);

function hashOf(stream: number): Hash {
  let hash = hashes.get(stream);
  if (hash === undefined) {
    hash = createHash('md5');
    hashes.set(stream, hash);
  }
  return hash;
}

/** Reads bytes of a file, as many as there are, into a buffer that the next call reuses. */
function readSpan(fd: number, position: number, length: number): Uint8Array {
  if (buffer.length < length) buffer = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, buffer, done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return buffer.subarray(0, done);
}

function addSpan(hash: Hash, { fd, position, length, crcs, partBytes }: FileSpan): number | null {
  const data = readSpan(fd, position, length);
  const wrong = firstWrongPart(data, crcs, partBytes);
  if (wrong === null) hash.update(data);
  return wrong;
}

function addFile({ stream, fd, length, blockBytes }: Extract<HashRequest, { kind: 'file' }>): boolean {
  const digest = digests.get(stream) ?? new RunningDigest(blockBytes);
  digests.set(stream, digest);
  const end = digest.bytes + length;
  if (fstatSync(fd).size < end) return false;
  while (digest.bytes < end) {
    const data = readSpan(fd, digest.bytes, Math.min(PART, end - digest.bytes));
    // The digest contains a part of the file by now, and is useless.
    if (data.length === 0) throw new Error('the file was cut off while it was hashed');
    digest.update(data);
  }
  return true;
}

function drop(stream: number): void {
  hashes.delete(stream);
  digests.delete(stream);
}

function resultOf(request: Extract<HashRequest, { id: number }>): HashResult {
  const { stream } = request;
  switch (request.kind) {
    case 'span':
      return addSpan(hashOf(stream), request.span);
    case 'file':
      return addFile(request);
    case 'hex':
      return hashOf(stream).digest('hex');
    case 'digest':
      return digests.get(stream)?.result() ?? null;
  }
}

function handle(request: HashRequest): void {
  const { stream } = request;
  if (request.kind === 'bytes') {
    hashOf(stream).update(request.data);
    return;
  }
  if (request.kind === 'drop') {
    drop(stream);
    return;
  }
  const { id } = request;
  let answer: HashAnswer;
  try {
    answer = { id, result: resultOf(request) };
  } catch (error) {
    answer = { id, failure: messageOf(error) };
  }
  if (request.kind === 'hex' || request.kind === 'digest') drop(stream);
  parentPort?.postMessage(answer);
}

lowerPriority();
parentPort?.on('message', handle);
