/** A request as this protocol's handlers need it: its parameters, from the query or the body. */
import {
  type Answer,
  type Resource as AnyResource,
  Exchange,
  formType,
  jsonType,
  octetType,
} from '../http/exchange.js';
import * as refuse from './errors.js';
import type { AuthKind } from './oauth/guard.js';

/** The body that a method takes. Anything else is 415.0210. */
export type BodyKind = 'none' | 'form' | 'optional-form' | 'form-or-json' | 'octets' | 'any';

export interface Method {
  auth: AuthKind;
  body: BodyKind;
  /** Whether the answer is JSON. Then an Accept without JSON is 406.0209. */
  json: boolean;
  handle(call: Call): Answer | Promise<Answer>;
}

export type Resource = AnyResource<Method>;

const largestForm = 1024 * 1024;

export class Call extends Exchange {
  /** Parameters of a form body. Empty without one. */
  form = new URLSearchParams();
  /** Whether the body had the form media type. Then its parameters are signed. */
  formSigned = false;
  oauth = new Map<string, string>();
  json: Record<string, unknown> | undefined;

  /** A parameter of the query or of the form. */
  optional(name: string): string | undefined {
    const value = this.form.get(name) ?? this.query.get(name);
    if (value !== null) return value;
    const fromJson = this.json?.[name];
    if (fromJson === undefined || fromJson === null) return undefined;
    if (typeof fromJson === 'object') throw refuse.malformed(name, 'must be a plain value');
    return String(fromJson);
  }

  /** Throws 400.0212 if it is missing, 400.0215 if it is empty. */
  required(name: string): string {
    const value = this.optional(name);
    if (value === undefined) throw refuse.missing(name);
    if (value === '') throw refuse.empty(name);
    return value;
  }

  /** Reads the body as this kind. A handler reads octets itself. */
  async readBody(kind: BodyKind): Promise<void> {
    const type = this.mediaType;
    if (kind === 'octets') {
      if (type !== octetType) throw refuse.badMediaType([octetType]);
      return;
    }
    if (kind === 'none' || kind === 'any') return;
    const takesJson = kind === 'form-or-json' && type === jsonType;
    if (type !== formType && !takesJson) {
      // No type and no body: the parameters are in the query.
      if (kind === 'optional-form' && !this.hasBody) return;
      throw refuse.badMediaType(kind === 'form-or-json' ? [jsonType, formType] : [formType]);
    }
    const text = await this.text(largestForm, () => refuse.malformed(null, 'the body is too long'));
    if (takesJson) this.json = parseObject(text);
    else {
      this.form = new URLSearchParams(text);
      this.formSigned = true;
    }
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse.malformed(null, String(error));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse.malformed(null, 'the body must be an object');
  return value as Record<string, unknown>;
}
