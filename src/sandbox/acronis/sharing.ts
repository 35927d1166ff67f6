/** The calls of the document on links and members of nodes. They live as long as the process. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Answer, type Exchange, jsonAnswer } from '../http/exchange.js';
import { jsonBody } from './body.js';
import { userUuid } from './entities.js';
import { invalid, noPermission } from './errors.js';
import type { Node } from './nodes.js';

const restrictions = ['public', 'access', 'shared'];
const linkFields = ['recipients', 'access_restriction', 'locale', 'message', 'ttl', 'single_use'];
const memberFields = ['email', 'read_only', 'can_invite', 'can_view_members'];

type Fields = Record<string, unknown>;

export class Sharing {
  readonly #links = new Map<string, Fields>();
  readonly #members = new Map<string, Fields[]>();
  #nextLink = 252;

  constructor(
    private readonly now: () => number,
    private readonly owner: () => { readonly name: string; readonly email: string },
  ) {}

  /** "Creates a file link". */
  async createLink(exchange: Exchange, node: Node): Promise<Answer> {
    const { link } = await jsonBody(exchange, ['link']);
    const fields = fieldsOf(link, linkFields);
    checkLink(fields);
    const id = this.#nextLink++;
    const { access_restriction = 'public', ttl = null, single_use = false, recipients = [] } = fields;
    if (!Array.isArray(recipients)) throw invalid('recipients must be a list');
    const made: Fields = {
      id,
      node_uuid: node.id,
      access_restriction,
      download_url: `https://dev-cloud.acronis.com/fc/t/${randomBytes(6).toString('base64url')}`,
      sharing_user_uuid: userUuid,
      ...(ttl === null ? {} : { ttl, expired_at: date(this.now() + Number(ttl) * 86_400_000) }),
      single_use,
      emails: recipients.map((recipient: unknown) => String(fieldsOf(recipient, ['email']).email ?? '')),
      download_count: 0,
      token: randomUUID(),
      created_at: date(this.now()),
      updated_at: date(this.now()),
    };
    this.#links.set(`${node.id}/${id}`, made);
    return jsonAnswer(made, 201);
  }

  /** "Updates a file link". The document shows no body in the answer. */
  async updateLink(exchange: Exchange, node: Node): Promise<Answer> {
    const link = this.#links.get(`${node.id}/${exchange.params.link_id}`);
    if (link === undefined) throw noPermission();
    const fields = await jsonBody(exchange, ['ttl', 'access_restriction', 'single_use']);
    checkLink(fields);
    Object.assign(link, fields, { updated_at: date(this.now()) });
    return { status: 200, headers: {} };
  }

  /** "Gets a list of folder members". */
  members(node: Node): Answer {
    return jsonAnswer(this.#membersOf(node));
  }

  /** "Creates a folder member". */
  async createMember(exchange: Exchange, node: Node): Promise<Answer> {
    if (node.kind !== 'folder') throw invalid('the node is no folder');
    const fields = fieldsOf((await jsonBody(exchange, ['member'])).member, memberFields);
    const { email, read_only = false, can_invite = false, can_view_members = false } = fields;
    if (typeof email !== 'string' || !email.includes('@')) throw invalid('email is missing');
    const member: Fields = {
      ...{ name: email.split('@')[0], permission_for: 'guest', email, read_only, can_invite, can_view_members },
      id: `guest-${randomUUID()},${node.id}`,
      can_be_changed: { can_invite: true, can_view_members: true, read_only: true },
    };
    this.#membersOf(node).push(member);
    return jsonAnswer(member, 201);
  }

  /** "Updates a member". */
  async updateMember(exchange: Exchange, node: Node): Promise<Answer> {
    const member = this.#membersOf(node).find(({ id }) => id === exchange.params.member_id);
    if (member === undefined) throw noPermission();
    const fields = fieldsOf((await jsonBody(exchange, ['member'])).member, memberFields.slice(1));
    return jsonAnswer(Object.assign(member, fields));
  }

  #membersOf(node: Node): Fields[] {
    const known = this.#members.get(node.id);
    if (known !== undefined) return known;
    const owner: Fields = {
      ...this.owner(),
      ...{
        permission_for: 'owner',
        read_only: false,
        id: `owner-${userUuid}`,
        can_invite: true,
        can_view_members: true,
      },
      can_be_changed: { can_invite: true, can_view_members: true, read_only: true },
    };
    this.#members.set(node.id, [owner]);
    return this.#members.get(node.id) ?? [];
  }
}

function checkLink({ access_restriction: access, ttl, single_use: once }: Fields): void {
  if (access !== undefined && !restrictions.includes(String(access))) throw invalid('access_restriction is unknown');
  if (ttl !== undefined && ttl !== null && !(Number.isInteger(ttl) && Number(ttl) > 0))
    throw invalid('ttl is a number of days');
  if (once !== undefined && typeof once !== 'boolean') throw invalid('single_use is true or false');
}

function fieldsOf(value: unknown, names: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('an object is missing');
  for (const name of Object.keys(value)) if (!names.includes(name)) throw invalid(`there is no ${name}`);
  return value as Fields;
}

function date(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
