// The least work of a client that reads at random: it fetches the ranges one after the other, over one connection.
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { answerOf, input, output } from './program.mjs';

const { requests } = await input();
const agentOf = (url) => (url.startsWith('https:') ? TlsAgent : Agent);
const agent = new (agentOf(requests[0].url))({ keepAlive: true });

await output(async () => {
  for (const range of requests) {
    let bytes = 0;
    for await (const data of await answerOf({ ...range, agent })) bytes += data.length;
    if (bytes !== range.length) throw new Error('a range is short');
  }
});
