/** Makes undici connect through a proxy's tunnel if the environment names a proxy, and else as usual. */
import type { buildConnector } from 'undici';
import buildInnerConnector from 'undici/lib/core/connect.js';
import { proxyFor, tunnelThrough } from './proxy.js';

export function connectorOf(timeoutMs: number): buildConnector.connector {
  const connect = buildInnerConnector({ timeout: timeoutMs });
  return (options, callback) => {
    const through = async (): Promise<void> => {
      const url = new URL(`${options.protocol}//${options.hostname}:${options.port}`);
      const proxy = proxyFor(url);
      if (proxy === null) {
        connect(options, callback);
        return;
      }
      const httpSocket = await tunnelThrough(proxy, url, { timeoutMs });
      connect({ ...options, httpSocket }, callback);
    };
    through().catch((error: Error) => callback(error, null));
  };
}
