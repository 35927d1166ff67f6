/** The contract's world for a service with one host, such as 5sync and Acronis: the common part of their sandboxes. */
import type { Provider, ProviderName } from '../../src/providers/provider.js';
import { createProvider, type ProviderSettings } from '../../src/providers/registry.js';
import type { AcronisSandbox, FiveSyncSandbox } from '../../src/sandbox/index.js';
import type { ContractServer, HurriedClock, Operation, OtherClient, SeenRequest } from './bench.js';

/** The operation of a request, from its route template, and from its URL if one route has two purposes. */
export interface ServiceRoute {
  readonly route: string;
  readonly url?: RegExp;
}
export type ServiceRoutes = Readonly<Partial<Record<Operation, ServiceRoute>>>;

export abstract class ServiceServer<S extends FiveSyncSandbox | AcronisSandbox> implements ContractServer {
  readonly #clients: Provider[] = [];
  readonly #start: { readonly readings: S['readings']; readonly settings: S['settings'] };

  constructor(
    readonly sandbox: S,
    readonly clock: HurriedClock,
    readonly name: ProviderName,
    readonly routes: ServiceRoutes,
    readonly defaults: Partial<ProviderSettings>,
  ) {
    this.#start = { readings: { ...sandbox.readings }, settings: { ...sandbox.settings } };
  }

  abstract readonly store: OtherClient;
  abstract credentials(): unknown;
  /** Removes everything in the account. */
  protected abstract empty(): void;

  connect(settings: Partial<ProviderSettings> = {}): Provider {
    const client = createProvider(this.name, {
      endpoints: this.sandbox.endpoints,
      credentials: this.credentials(),
      clock: this.clock,
      deadlineMs: 20_000,
      stallMs: 5_000,
      ...this.defaults,
      ...settings,
    });
    this.#clients.push(client);
    return client;
  }

  fault: ContractServer['fault'] = (operation, action, when = {}) => {
    const found = this.routes[operation];
    if (found === undefined) throw new Error(`there is no request to ${operation}`);
    const route = `^${found.route.replace(/[{}?]/g, '\\$&')}$`;
    this.sandbox.faults.add({ route, ...(found.url ? { url: found.url.source } : {}), ...when, action });
  };

  requests(...wanted: Operation[]): SeenRequest[] {
    const entries = this.sandbox.log.entries();
    const names = Object.keys(this.routes) as Operation[];
    const isFor = (name: Operation, seen: { route: string; path: string }): boolean => {
      const known = this.routes[name];
      return known !== undefined && known.route === seen.route && known.url?.test(seen.path) !== false;
    };
    return entries
      .filter((entry) => wanted.length === 0 || wanted.some((name) => isFor(name, entry)))
      .map((entry) => ({ ...entry, operation: names.find((name) => isFor(name, entry)) }));
  }

  forget(): void {
    this.sandbox.log.clear();
  }

  violations(): string[] {
    return this.sandbox.log.entries().flatMap(({ violation }) => violation ?? []);
  }

  limit: ContractServer['limit'] = (what, value) => {
    if (what !== 'quota') throw new Error(`${this.name} has no limit of ${what}`);
    this.sandbox.settings.quotaBytes = value;
  };

  rateLimit(_requests: number, _seconds: number, _retryAfter: boolean): void {
    throw new Error(`${this.name} has no limit of requests`);
  }

  forbidWriting(path: string): void {
    throw new Error(`${this.name} cannot make ${path} read-only`);
  }

  async reset(): Promise<void> {
    const { sandbox, clock } = this;
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    sandbox.faults.clear();
    await sandbox.quiet();
    Object.assign(sandbox.readings, this.#start.readings);
    Object.assign(sandbox.settings, this.#start.settings);
    this.empty();
    sandbox.log.clear();
    clock.reset();
  }

  async close(): Promise<void> {
    await this.reset();
    await this.sandbox.close();
  }
}
