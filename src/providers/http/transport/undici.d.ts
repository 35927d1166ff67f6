/** Types for the inner paths of undici that agent.ts takes. */
declare module 'undici/lib/api/api-request.js' {
  const request: import('undici').Agent['request'];
  export default request;
}

declare module 'undici/lib/core/connect.js' {
  export { buildConnector as default } from 'undici';
}

declare module 'undici/lib/dispatcher/agent.js' {
  export { Agent as default } from 'undici';
}
declare module 'undici/lib/core/symbols.js' {
  export const kParser: unique symbol;
  export const kSocket: unique symbol;
}
