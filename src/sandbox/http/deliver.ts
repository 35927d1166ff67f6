/** Sends answers, whole or damaged by the fault plan, and counts the bytes sent. */
import { gzipSync } from 'node:zlib';
import type { FaultAction } from '../faults.js';
import { type Answer, ConnectionCut, type Exchange, flipped } from './exchange.js';
import { keepPace } from './pacer.js';
import type { WireReadings } from './wire.js';

const piece = 64 * 1024;

/** How a body is sent. */
interface Manner {
  /** The connection is cut after so many bytes. */
  cutAt: number;
  cut: 'reset' | 'close';
  flipAt: number;
  bytesPerSecond: number;
  pieceBytes?: number;
}

export async function deliver(exchange: Exchange, answer: Answer, readings: WireReadings): Promise<void> {
  const { response, fault, entry, pacer, request } = exchange;
  if (request.socket.destroyed) throw new ConnectionCut();
  const spoilt = fault ? spoil(exchange, answer, fault) : { answer, manner: undefined };
  answer = readings.coding === 'gzip' ? packed(spoilt.answer) : spoilt.answer;
  const { manner } = spoilt;
  const source = bodyOf(answer);
  const headers: Record<string, string> = { ...answer.headers };
  const bare = answer.status === 204 || answer.status === 304;
  // Without a length Node.js sends it chunked.
  if (!bare && readings.lengths === 'told') headers['content-length'] ??= String(source.length);
  if (readings.connections === 'closed') headers.connection = 'close';
  if (readings.interim === '100') response.writeContinue();
  if (readings.interim === '103') response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
  entry.status = answer.status;
  response.writeHead(answer.status, headers);
  if (!manner && !pacer.limited && source.whole) {
    entry.bytesOut += source.whole.length;
    response.end(source.whole);
    return;
  }
  if (!manner && source.length === 0) {
    response.end();
    return;
  }
  await send(exchange, source, manner ?? { cutAt: Infinity, cut: 'close', flipAt: -1, bytesPerSecond: 0 });
}

async function send(exchange: Exchange, source: Source, manner: Manner): Promise<void> {
  const { response, request, entry, pacer } = exchange;
  const { socket } = request;
  let sent = 0;
  const begun = performance.now();
  const rate = manner.bytesPerSecond || pacer.settings.bandwidth;
  // A slow answer must come in small pieces, or the client would not notice.
  const most =
    manner.pieceBytes ?? (rate > 0 ? Math.max(1, Math.min(piece, Math.floor(rate / 20))) : Number.POSITIVE_INFINITY);
  for await (const whole of source.pieces()) {
    for (let at = 0; at < whole.length; at += most) {
      let part = whole.subarray(at, Math.min(whole.length, at + most));
      const { flipAt } = manner;
      if (flipAt >= sent && flipAt < sent + part.length) part = flipped(part, flipAt - sent);
      if (sent + part.length > manner.cutAt) part = part.subarray(0, manner.cutAt - sent);
      if (manner.bytesPerSecond > 0) await keepPace(begun, sent + part.length, rate);
      else await pacer.wait(socket, 'out', part.length, rate);
      await write(exchange, part);
      sent += part.length;
      if (sent >= manner.cutAt) break;
    }
    if (sent >= manner.cutAt) break;
  }
  if (sent >= manner.cutAt || manner.cutAt === 0) {
    if (sent === 0) response.flushHeaders();
    if (manner.cut === 'reset') socket.resetAndDestroy();
    else socket.destroySoon();
    entry.fault ??= 'cut';
    return;
  }
  response.end();
}

/** Writes and waits until the kernel has taken the bytes. Bytes lost by a broken connection are not counted. */
async function write({ response, entry }: Exchange, part: Buffer): Promise<void> {
  if (part.length === 0) return;
  entry.bytesOut += part.length;
  await new Promise<void>((resolve, reject) => {
    let settled = false;
    const lost = () => {
      if (settled) return;
      settled = true;
      entry.bytesOut -= part.length;
      reject(new ConnectionCut());
    };
    if (response.destroyed || response.socket?.destroyed) {
      lost();
      return;
    }
    response.once('close', lost);
    response.write(part, (error) => {
      response.off('close', lost);
      if (error) lost();
      else if (!settled) {
        settled = true;
        resolve();
      }
    });
  });
}

function packed(answer: Answer): Answer {
  if ('content' in answer || !answer.headers?.['content-type']?.startsWith('application/json')) return answer;
  const headers = { ...answer.headers, 'content-encoding': 'gzip' };
  return { ...answer, headers, body: gzipSync(Buffer.from(answer.body ?? '')) };
}

interface Source {
  length: number;
  /** The body in one piece, if it is in memory. */
  whole?: Buffer;
  pieces(): AsyncIterable<Buffer> | Iterable<Buffer>;
}

function bodyOf(answer: Answer): Source {
  if ('content' in answer) {
    const { content, start, end } = answer;
    if (content.memory) return inMemory(content.memory.subarray(start, end));
    return { length: end - start, pieces: () => content.read(start, end) };
  }
  return inMemory(Buffer.from(answer.body ?? ''));
}

function inMemory(whole: Buffer): Source {
  return { length: whole.length, whole, pieces: () => [whole] };
}

/** Changes the answer, and how it is sent, according to the fault. */
function spoil(
  { hasBody }: Exchange,
  answer: Answer,
  fault: FaultAction,
): { answer: Answer; manner: Manner | undefined } {
  const { length } = bodyOf(answer);
  const plain: Manner = { cutAt: Infinity, cut: 'close', flipAt: -1, bytesPerSecond: 0 };
  const half = Math.floor(length / 2);
  switch (fault.kind) {
    case 'reset':
      if (fault.when !== 'middle' || hasBody) break;
      return { answer, manner: { ...plain, cut: 'reset', cutAt: fault.at ?? half } };
    case 'truncate': {
      const at = Math.min(fault.at ?? half, length);
      if (fault.silent) return { answer: shortened(answer, at), manner: undefined };
      return { answer, manner: { ...plain, cutAt: at } };
    }
    case 'corrupt':
      if (fault.where === 'request') break;
      return { answer, manner: { ...plain, flipAt: fault.at ?? half } };
    case 'slow':
      return { answer, manner: { ...plain, bytesPerSecond: fault.bytesPerSecond, pieceBytes: fault.pieceBytes } };
    case 'broken-json':
      if ('content' in answer) break;
      return { answer: shortened(answer, half), manner: undefined };
    case 'wrong-content-range': {
      const range = answer.headers?.['content-range'];
      if (range === undefined) break;
      const shifted = range.replace(/\d+(?=[-/]|$)/g, (digits, at: number) =>
        at < range.indexOf('/') ? String(Number(digits) + (fault.shift ?? 1)) : digits,
      );
      return { answer: { ...answer, headers: { ...answer.headers, 'content-range': shifted } }, manner: undefined };
    }
    default:
  }
  return { answer, manner: undefined };
}

function shortened(answer: Answer, length: number): Answer {
  if ('content' in answer) return { ...answer, end: answer.start + length };
  return { ...answer, body: Buffer.from(answer.body ?? '').subarray(0, length) };
}
