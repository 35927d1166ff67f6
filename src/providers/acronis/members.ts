/** Members of folders. The document has requests to list, add and change them, but none to remove them. */
import { z } from 'zod';
import { ProviderError } from '../errors.js';
import { decodeJson } from '../http/answers/answer.js';
import type { CallOptions } from '../http/client/call.js';
import type { Member, MemberRights, RemoteFolder } from '../provider.js';
import type { AcronisApi } from './api.js';

const route = '/sync_and_share_nodes/{uuid}/members';
/** A folder is shared with people, not with the world: a server that always has one more page is at fault. */
const MOST_PAGES = 100;

const memberSchema = z.object({
  id: z.string(),
  email: z.string().nullish(),
  name: z.string().nullish(),
  permission_for: z.string().nullish(),
  read_only: z.boolean().nullish(),
  can_invite: z.boolean().nullish(),
  can_view_members: z.boolean().nullish(),
});

type Listed = z.infer<typeof memberSchema>;

export async function members(api: AcronisApi, folder: RemoteFolder, options: CallOptions): Promise<Member[]> {
  return (await listed(api, folder, options)).map(memberOf);
}

export async function share(
  api: AcronisApi,
  folder: RemoteFolder,
  email: string,
  rights: MemberRights,
  options: CallOptions,
): Promise<Member> {
  const wish = { read_only: rights.readOnly, can_invite: rights.canInvite, can_view_members: rights.canViewMembers };
  const find = async (again: CallOptions): Promise<Listed | undefined> =>
    (await listed(api, folder, again)).find((member) => member.email?.toLowerCase() === email.toLowerCase());
  const known = await find(options);
  if (known === undefined) {
    const call = api.call('POST', route, folder.id, { json: { member: { email, ...wish } } });
    return memberOf(await api.json(call, memberSchema, options, find));
  }
  if (known.permission_for === 'owner')
    throw new ProviderError('permission', `${email} owns the folder: what he may cannot be changed`, { data: {} });
  const template = `${route}/${encodeURIComponent(known.id)}`;
  const call = api.call('PUT', template, folder.id, { json: { member: wish }, idempotent: true });
  return memberOf(await api.json({ ...call, route: `PUT ${route}/{member_id}` }, memberSchema, options));
}

/** "200: the list of members", "206: part of the list". */
async function listed(api: AcronisApi, { id }: RemoteFolder, options: CallOptions): Promise<Listed[]> {
  const found = new Map<string, Listed>();
  for (let page = 1; page <= MOST_PAGES; page++) {
    const query: Record<string, string> = page === 1 ? {} : { page: String(page) };
    const call = api.call('GET', route, id, { query });
    const part = await api.http.request(
      call,
      {
        decode: async (answer) => ({
          list: await decodeJson(z.array(memberSchema), answer, call.route),
          isPart: answer.status === 206,
        }),
      },
      options,
    );
    const before = found.size;
    for (const member of part.list) found.set(member.id, member);
    if (!part.isPart || found.size === before) break;
  }
  return [...found.values()];
}

function memberOf({ email, name, permission_for, read_only, can_invite, can_view_members }: Listed): Member {
  return {
    email: email ?? null,
    name: name ?? null,
    role: permission_for ?? 'member',
    readOnly: read_only ?? false,
    canInvite: can_invite ?? false,
    canViewMembers: can_view_members ?? false,
  };
}
