/** How undici connects to a server: as it does by itself, through the tunnel of a proxy where there is one. */
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
