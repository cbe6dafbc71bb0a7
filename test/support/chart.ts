/**
 * Renders the Helm chart for the tests, since helm is in no Debian: the part of Go's templates that the chart uses (range, if, end,
 * printf, toYaml, quote, nindent), and nothing else: anything more is an error here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly pipeline: string }
  | { readonly kind: 'block'; readonly word: 'range' | 'if'; readonly on: string; readonly body: Node[] };

const TAG = /(\s*)\{\{(-?)\s*(.*?)\s*(-?)\}\}(\s*)/gs;

const parseTemplate = (text: string): Node[] => {
  const root: Node[] = [];
  const open: Node[][] = [root];
  const say = (piece: string) => piece && open.at(-1)!.push({ kind: 'text', text: piece });
  let at = 0;
  for (const match of text.matchAll(TAG)) {
    const [whole, before = '', trimLeft, tag = '', trimRight, after = ''] = match;
    say(text.slice(at, match.index) + (trimLeft ? '' : before));
    const [word, ...rest] = tag.split(' ');
    if (word === 'end') open.pop();
    else if (word === 'range' || word === 'if') {
      const body: Node[] = [];
      open.at(-1)!.push({ kind: 'block', word, on: rest.join(' '), body });
      open.push(body);
    } else open.at(-1)!.push({ kind: 'value', pipeline: tag });
    if (open.length === 0) throw new Error('one {{ end }} too many');
    say(trimRight ? '' : after);
    at = match.index + whole.length;
  }
  say(text.slice(at));
  if (open.length > 1) throw new Error('an {{ end }} is missing');
  return root;
};

const look = (path: string, context: unknown, dot: unknown): unknown => {
  if (path === '.') return dot;
  if (/^".*"$/.test(path)) return JSON.parse(path);
  if (!/^(\.\w+)+$/.test(path)) throw new Error(`the renderer of the tests does not know ${path}`);
  let value: unknown = context;
  for (const name of path.slice(1).split('.')) {
    if (typeof value !== 'object' || value === null || !(name in value)) throw new Error(`${path}: there is no ${name}`);
    value = (value as Record<string, unknown>)[name];
  }
  return value;
};

const evaluate = (pipeline: string, context: unknown, dot: unknown): unknown => {
  const [first = '', ...filters] = pipeline.split(' | ');
  const words = first.match(/"[^"]*"|\S+/g) ?? [];
  let value: unknown;
  if (words[0] === 'printf') {
    const [format, ...values] = words.slice(1).map((word) => look(word, context, dot));
    value = values.reduce<string>((text, one) => text.replace(/%[sv]/, String(one)), String(format));
  } else if (words[0] === 'toYaml') value = stringify(look(words[1]!, context, dot)).trimEnd();
  else value = look(first, context, dot);
  for (const filter of filters) {
    const indent = /^nindent (\d+)$/.exec(filter);
    if (filter === 'quote') value = JSON.stringify(String(value));
    else if (indent) value = `\n${String(value).replace(/^/gm, ' '.repeat(Number(indent[1])))}`;
    else throw new Error(`the renderer of the tests does not know ${filter}`);
  }
  return value;
};

const isSet = (value: unknown): boolean => !(value === '' || value === false || value === null || value === 0);

const render = (nodes: readonly Node[], context: unknown, dot: unknown): string =>
  nodes
    .map((node) => {
      if (node.kind === 'text') return node.text;
      if (node.kind === 'value') return String(evaluate(node.pipeline, context, dot));
      const on = evaluate(node.on, context, dot);
      if (node.word === 'if') return isSet(on) ? render(node.body, context, dot) : '';
      return (on as readonly unknown[]).map((one) => render(node.body, context, one)).join('');
    })
    .join('');

export type Values = Readonly<Record<string, unknown>>;

const merge = (base: Values, over: Values): Values => {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const before = merged[name];
    const both = [before, value].every((one) => typeof one === 'object' && one !== null && !Array.isArray(one));
    merged[name] = both ? merge(before as Values, value as Values) : value;
  }
  return merged;
};

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Every object of the chart with these values over its own. */
export const renderChart = (directory: string, over: Values): KubernetesObject[] => {
  const own = parse(readFileSync(join(directory, 'values.yaml'), 'utf8')) as Values;
  const context = { Values: merge(own, over), Release: { Name: 'test' } };
  const templates = join(directory, 'templates');
  return readdirSync(templates).flatMap((name) => {
    const text = render(parseTemplate(readFileSync(join(templates, name), 'utf8')), context, context);
    return parseAllDocuments(text).flatMap((document) => {
      if (document.errors.length > 0) throw new Error(`${name}: ${document.errors[0]!.message}\n${text}`);
      const object = document.toJS() as KubernetesObject | null;
      return object === null ? [] : [object];
    });
  });
};
