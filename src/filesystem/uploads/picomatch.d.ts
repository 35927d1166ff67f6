/** The part of picomatch that exclusion.ts uses. */
declare module 'picomatch' {
  interface Options {
    readonly dot?: boolean;
    readonly nobrace?: boolean;
    readonly noextglob?: boolean;
    readonly nonegate?: boolean;
  }
  export default function picomatch(pattern: string, options?: Options): (name: string) => boolean;
}
