/** Templates of map keys: literal text with `{event_name}` and `{provider_name}`; `{{` and `}}` are a brace each. */

export type KeySegment = { readonly literal: string } | { readonly placeholder: 'event_name' | 'provider_name' };
export type KeyTemplate =
  | { readonly ok: true; readonly segments: readonly KeySegment[] }
  | { readonly ok: false; readonly cause: string };

export const KEY_SEGMENTS_MAX = 256;

const wrong = (cause: string): KeyTemplate => ({ ok: false, cause });

export const parseKeyTemplate = (text: string): KeyTemplate => {
  const segments: KeySegment[] = [];
  let literal = '';
  const end = (): void => {
    if (literal !== '') segments.push({ literal });
    literal = '';
  };
  for (let at = 0; at < text.length; ) {
    const character = text[at]!;
    const isBrace = character === '{' || character === '}';
    if (!isBrace || text[at + 1] === character) {
      literal += character;
      at += isBrace ? 2 : 1;
      continue;
    }
    const match = /^\{([^{}]*)\}/.exec(text.slice(at));
    if (!match)
      return wrong(
        `a \`${character}\` at column ${at + 1} has no partner; write \`${character}${character}\` for the character`,
      );
    const name = match[1]!;
    if (name !== 'event_name' && name !== 'provider_name')
      return wrong(`\`{${name}}\` is neither \`{event_name}\` nor \`{provider_name}\``);
    end();
    segments.push({ placeholder: name });
    at += match[0].length;
  }
  end();
  if (segments.length === 0) return wrong('it is empty');
  if (segments.length > KEY_SEGMENTS_MAX) return wrong(`it has ${segments.length} segments, ${KEY_SEGMENTS_MAX} are possible`);
  return { ok: true, segments };
};

/** Null: it is no template, or wants an event where there is none. `point`: `provider:name`. */
export const resolveKey = (text: string, point: string | null): string | null => {
  const template = parseKeyTemplate(text);
  if (!template.ok) return null;
  if (point === null && template.segments.some((segment) => 'placeholder' in segment)) return null;
  const colon = (point ?? '').indexOf(':');
  const values = { provider_name: (point ?? '').slice(0, colon), event_name: (point ?? '').slice(colon + 1) };
  return template.segments.map((one) => ('literal' in one ? one.literal : values[one.placeholder])).join('');
};
