/**
 * Servers that are not ours: `--bus-url URL`, or `--bus-context NAME`, the file that the `nats` tool keeps for NAME (ADR-21). The
 * variables of other programs (NATS_URL and so on) are not read.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { z } from 'zod';
import { withoutSecret } from './bus-url.ts';
import { failure } from './errors.ts';
import type { NatsOptions } from './nats-wire.ts';

export type External = { readonly url: string } | { readonly context: string };

/** Where the caller's own files are. */
export interface Homes {
  readonly home: string;
  readonly configHome?: string | undefined; // XDG_CONFIG_HOME
}

const field = z.string().default('');
const contextFile = z.object({
  url: z.string().min(1),
  user: field,
  password: field,
  token: field,
  creds: field,
  nkey: field,
  nsc: field,
  cert: field,
  key: field,
  ca: field,
  inbox_prefix: field,
  tls_first: z.boolean().default(false),
});
type ContextFile = z.output<typeof contextFile>;

const unusable = (what: string, cause: string) => failure('bus-unavailable', { cause: `${what}: ${cause}` });

const readContext = (name: string, homes: Homes): ContextFile => {
  const what = `NATS context \`${name}\``;
  if (!/^[^/\\]+$/.test(name) || name.startsWith('.')) throw unusable(what, 'this is no name of a context');
  const path = join(homes.configHome || join(homes.home, '.config'), 'nats', 'context', `${name}.json`);
  try {
    return contextFile.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (thrown) {
    if (thrown instanceof z.ZodError)
      throw unusable(what, `${path}: ${thrown.issues[0]?.path.join('.')}: ${thrown.issues[0]?.message}`);
    throw unusable(what, thrown instanceof Error ? thrown.message : String(thrown));
  }
};

const expand = (path: string, homes: Homes): string => (path.startsWith('~/') ? join(homes.home, path.slice(2)) : path);

const readBytes = (path: string, homes: Homes): Uint8Array => {
  try {
    return readFileSync(expand(path, homes));
  } catch (thrown) {
    throw unusable('NATS context', thrown instanceof Error ? thrown.message : String(thrown));
  }
};

/** The name in a key that `weft keys relay NAME` made: the server lets it speak for that relay and no other. */
export const relayOfContext = (name: string, homes: Homes): string | null => {
  const { creds } = readContext(name, homes);
  if (!creds) return null;
  const text = Buffer.from(readBytes(creds, homes)).toString();
  const [, claims] = /-----BEGIN NATS USER JWT-----\s+[\w-]+\.([\w-]+)\./.exec(text) ?? [];
  if (claims === undefined) return null;
  const user = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { name?: unknown };
  return /^relay (.+)$/.exec(String(user.name))?.[1] ?? null;
};

const contextAuthenticator = (context: ContextFile, homes: Homes): Authenticator | null => {
  // Read at each attempt to connect, so that a renewed file counts.
  if (context.creds) {
    readBytes(context.creds, homes);
    return credsAuthenticator(() => readBytes(context.creds, homes));
  }
  if (context.nkey)
    return nkeyAuthenticator(new TextEncoder().encode(Buffer.from(readBytes(context.nkey, homes)).toString().trim()));
  if (context.token) return tokenAuthenticator(context.token);
  if (context.user) return usernamePasswordAuthenticator(context.user, context.password);
  return null;
};

const urlAuthenticator = (url: URL): Authenticator | null => {
  const user = decodeURIComponent(url.username);
  if (!user) return null;
  return url.password ? usernamePasswordAuthenticator(user, decodeURIComponent(url.password)) : tokenAuthenticator(user);
};

const parseUrl = (text: string): URL => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !['nats:', 'tls:'].includes(url.protocol) || !url.hostname) {
    throw unusable(`\`${withoutSecret(text)}\``, 'a bus is named nats://HOST[:PORT] or tls://HOST[:PORT]');
  }
  return url;
};

const contextTls = (context: ContextFile, homes: Homes, required: boolean): NatsOptions['tls'] | null => {
  const { cert, key, ca, tls_first } = context;
  if (!cert && !key && !ca && !tls_first && !required) return null;
  return {
    ...(cert && { certFile: expand(cert, homes) }),
    ...(key && { keyFile: expand(key, homes) }),
    ...(ca && { caFile: expand(ca, homes) }),
    ...(tls_first && { handshakeFirst: true }),
  };
};

const serverOf = (url: URL): string => `${url.hostname}:${url.port || '4222'}`;

/** Services answer into inboxes only (service.ts), so a context must keep to inboxes. */
const checkedPrefix = (prefix: string): string => {
  if (!prefix.startsWith('_INBOX')) throw unusable('NATS context', 'inbox_prefix must begin with `_INBOX`');
  return prefix;
};

/** Throws FaultError `bus-unavailable` that names the context and what is wrong with it. */
export const externalOptions = (external: External, homes: Homes): NatsOptions => {
  if ('url' in external) {
    const url = parseUrl(external.url);
    const authenticator = urlAuthenticator(url);
    return { servers: [serverOf(url)], ...(url.protocol === 'tls:' && { tls: {} }), ...(authenticator && { authenticator }) };
  }
  const context = readContext(external.context, homes);
  if (context.nsc) throw unusable(`NATS context \`${external.context}\``, '`nsc` is not supported; give `creds`');
  const urls = context.url.split(',').map((text) => parseUrl(text.trim()));
  const authenticator = contextAuthenticator(context, homes) ?? urlAuthenticator(urls[0]!);
  const tls = contextTls(
    context,
    homes,
    urls.some((url) => url.protocol === 'tls:'),
  );
  return {
    servers: urls.map(serverOf),
    ...(authenticator && { authenticator }),
    ...(tls && { tls }),
    ...(context.inbox_prefix && { inboxPrefix: checkedPrefix(context.inbox_prefix) }),
  };
};
