/**
 * Reads the options of a mount from texts: `-o` of the command line and of fstab, `syncmount set`, the config file. `options.ts` declares
 * the options.
 */
import { UsageError } from '../base/errors.js';
import { adviceFor, isHarmless, isUnmet } from './foreign-options.js';
import { callerOptionSpecs, kernelFlags, type MountOptions, type OptionSpec, optionSpecs } from './options.js';

/** The values of options by name, as text, from one source. */
export type RawOptions = ReadonlyMap<string, string>;

/** Reads `-o name=value,name,…`. A comma after a backslash is part of a value. Throws `UsageError` for an unknown name. */
export function parseDashO(texts: readonly string[]): RawOptions {
  const raw = new Map<string, string>();
  for (const part of texts.flatMap(splitDashO)) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    // If two options contradict each other, the later one counts, as in mount(8).
    if (name === 'rw') raw.delete('read-only');
    if (kernelFlags.some((flag) => flag === `no${name}`)) raw.delete(`no${name}`);
    const hasValue = equals >= 0;
    // `user` without a value is for mount(8), which then lets ordinary users mount.
    const isOurs = hasValue && callerOptionSpecs.some((option) => option.name === name);
    if (name === '' || (!isOurs && (isHarmless(name) || isUnmet(name)))) continue;
    const value = !hasValue ? 'true' : part.slice(equals + 1).replace(/\\([\\,])/g, '$1');
    if (isOurs) raw.set(name, value);
    else addTo(raw, specOf(name), value);
  }
  return raw;
}

/** Sets the value of an option. If the option is repeatable, adds the value. */
function addTo(raw: Map<string, string>, { name, isRepeatable }: OptionSpec, value: string): void {
  const before = isRepeatable ? raw.get(name) : undefined;
  raw.set(name, before === undefined ? value : `${before}\n${value}`);
}

/**
 * Reads the `name=value` texts of `syncmount set`, for options that a running mount can change. Throws `UsageError`, also for a value that
 * the option does not take.
 */
export function parseLive(texts: readonly string[]): RawOptions {
  const raw = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf('=');
    if (equals < 0) throw new UsageError(`'${text}' is not NAME=VALUE`);
    const option = specOf(text.slice(0, equals));
    if (!option.isLive)
      throw new UsageError(
        `'${option.name}' cannot be changed while it is mounted; what can: ${liveNames().join(', ')}`,
      );
    addTo(raw, option, text.slice(equals + 1));
  }
  resolveOptions(raw);
  return raw;
}

export function liveNames(): string[] {
  return optionSpecs.flatMap(({ name, isLive }) => (isLive ? [name] : []));
}

/** The options of a list, each as typed. */
export function splitDashO(text: string): string[] {
  return (text.match(/(?:[^,\\]|\\.?)+/gs) ?? []).map((option) => option.trim());
}

/** Escapes a value for `parseDashO`. */
export function quoteDashO(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}

/** The option with that name or alias. */
export function specOf(name: string): OptionSpec {
  const wanted = name.replaceAll('_', '-');
  const found = optionSpecs.find((option) => option.name === wanted || option.aliases?.includes(name));
  if (found !== undefined) return found;
  if (callerOptionSpecs.some((option) => option.name === name))
    throw new UsageError(`option '${name}' has its place on the command line and in fstab`);
  const advice = adviceFor(name);
  throw new UsageError(advice === undefined ? `unknown option '${name}'` : `option '${name}' is not taken: ${advice}`);
}

/** Later sources win over earlier ones. Throws `UsageError`, which names the option with an invalid value. */
export function resolveOptions(...sources: readonly RawOptions[]): MountOptions {
  const entries = optionSpecs.map((option) => {
    const given = sources.map((source) => source.get(option.name)).findLast((text) => text !== undefined);
    const text = given ?? (typeof option.default === 'string' ? option.default : option.default());
    try {
      return [option.key, option.parse(text)];
    } catch (error) {
      throw new UsageError(`--${option.name}: ${(error as Error).message}`, { cause: error });
    }
  });
  return Object.fromEntries(entries) as MountOptions;
}

/** The options of a mount as text again, to pass them to another process with the same user and config directory. */
export function toRaw(sources: readonly RawOptions[]): Record<string, string> {
  const all = Object.fromEntries(sources.flatMap((source) => [...source]));
  for (const { name } of callerOptionSpecs) delete all[name];
  return all;
}
