/** How long functions are: TypeScript by its own parser, C and C++ by their braces. */
import ts from 'typescript';
import type { SourceFile } from './files.ts';

export interface FunctionLength {
  /** `path#name`; equal names of one file are numbered. */
  readonly key: string;
  readonly lines: number;
}

const nameOf = (node: ts.Node, source: ts.SourceFile): string => {
  const named = node as { name?: ts.Node };
  if (named.name) return named.name.getText(source);
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent))
    return parent.name.getText(source);
  if (ts.isCallExpression(parent)) return `${parent.expression.getText(source)}(${firstWords(parent, source)})`;
  return 'anonymous';
};

const firstWords = (call: ts.CallExpression, source: ts.SourceFile): string => {
  const [first] = call.arguments;
  return first && (ts.isStringLiteral(first) || ts.isNoSubstitutionTemplateLiteral(first)) ? first.getText(source) : '';
};

/** `describe(...)` only groups: what counts is the tests in it. */
const onlyGroups = (node: ts.Node, source: ts.SourceFile): boolean =>
  ts.isCallExpression(node.parent) && /^(describe|suite)\b/.test(node.parent.expression.getText(source));

const inTypeScript = ({ path, text }: SourceFile): [string, number][] => {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2024, true);
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
  const found: [string, number][] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body && !onlyGroups(node, source))
      found.push([nameOf(node, source), lineOf(node.end) - lineOf(node.getStart(source)) + 1]);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
};

const blank = (part: string): string => part.replace(/[^\n]/g, ' ');

/** Comments, literals and preprocessor lines become blanks: what is left has only the code's own braces. */
const bareCode = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|R"(\w*)\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, blank)
    .replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, blank);

/** What stands before a brace: the head of a function, or of something that only contains functions, or anything else. */
const kindOf = (head: string): 'function' | 'container' | 'other' => {
  if (/\b(namespace|class|struct|union|extern)\b[^()=]*$/.test(head)) return 'container';
  if (head.includes('=') && !/operator\s*[=!<>+-]*=\s*\(/.test(head)) return 'other';
  return /\)\s*(const|noexcept|override|final|\s|->[^;]*|:[^;]*|__attribute__\s*\(\(.*\)\))*$/.test(head)
    ? 'function'
    : 'other';
};

interface Brace {
  readonly kind: 'function' | 'container' | 'other';
  readonly name: string;
  readonly line: number;
}

const functionName = (head: string): string =>
  /([\w:~]+)\s*\(/.exec(head.replace(/__attribute__\s*\(\(.*?\)\)/g, ''))?.[1] ?? 'anonymous';

const openBrace = (stack: readonly Brace[], head: string, line: number): Brace => {
  const outside = stack.every((brace) => brace.kind === 'container');
  const kind = outside ? kindOf(head) : 'other';
  const headLines = head.trimStart().split('\n').length - 1;
  return { kind, name: kind === 'function' ? functionName(head) : '', line: line - headLines };
};

const inC = ({ text }: SourceFile): [string, number][] => {
  const found: [string, number][] = [];
  const stack: Brace[] = [];
  let head = '';
  let line = 1;
  for (const character of bareCode(text)) {
    if (character === '\n') line++;
    if (character === '{') stack.push(openBrace(stack, head, line));
    if (character === '}') {
      const brace = stack.pop();
      if (brace?.kind === 'function') found.push([brace.name, line - brace.line + 1]);
    }
    head = '{};'.includes(character) ? '' : head + character;
  }
  return found;
};

export const functionLengths = (file: SourceFile): FunctionLength[] => {
  const seen = new Map<string, number>();
  const measured = file.path.endsWith('.ts') ? inTypeScript(file) : inC(file);
  return measured.map(([name, lines]) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return { key: `${file.path}#${name}${times > 1 ? `~${times}` : ''}`, lines };
  });
};
