/** The few rules of writing XML that a machine interface needs: elements, text, no white space between. */

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly content: string | readonly Element[];
}

type Text = string | number | bigint | boolean;

const isText = (value: Text | Element | readonly Element[]): value is Text => typeof value !== 'object';

/** `element('name', 'demo')`, `element('sessions', [session])`, `element('trigger', name, owner)`. */
export const element = (name: string, ...content: readonly (Text | Element | readonly Element[])[]): Element => {
  const [first] = content;
  if (content.length === 1 && first !== undefined && isText(first)) return { name, attributes: {}, content: String(first) };
  return { name, attributes: {}, content: content.flatMap((one) => (isText(one) ? [] : one)) };
};

const ESCAPED: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;' };

/** Characters that XML 1.0 cannot hold in any form. */
const isForbidden = (character: string): boolean => {
  const code = character.codePointAt(0) ?? 0;
  const control = code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d;
  return control || (code >= 0xd800 && code <= 0xdfff) || code === 0xfffe || code === 0xffff;
};

const escaped = (text: string): string =>
  Array.from(text, (character) => ESCAPED[character] ?? (isForbidden(character) ? '\ufffd' : character)).join('');

export const serialize = ({ name, attributes, content }: Element): string => {
  const words = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`);
  const inside = typeof content === 'string' ? escaped(content) : content.map(serialize).join('');
  return inside === '' ? `<${name}${words.join('')}/>` : `<${name}${words.join('')}>${inside}</${name}>`;
};
