/** Things by subject pattern, token by token: who listens to a subject is found without looking at who listens to others. */
class Node<T> {
  readonly children = new Map<string, Node<T>>();
  /** Of patterns that end here. */
  readonly here = new Set<T>();
  /** Of patterns that go on with `>`. */
  readonly below = new Set<T>();

  get empty(): boolean {
    return this.children.size === 0 && this.here.size === 0 && this.below.size === 0;
  }
}

/** It matches as `subjectMatches` does. */
export class SubjectTree<T> {
  readonly #root = new Node<T>();

  add(pattern: string, item: T): void {
    this.#placeOf(pattern, this.#pathOf(pattern, true))?.add(item);
  }

  remove(pattern: string, item: T): void {
    const path = this.#pathOf(pattern, false);
    this.#placeOf(pattern, path)?.delete(item);
    const tokens = pattern.split('.');
    for (let depth = path.length - 1; depth > 0 && path[depth]?.empty; depth--) {
      path[depth - 1]?.children.delete(tokens[depth - 1] ?? '');
    }
  }

  matching(subject: string): T[] {
    const tokens = subject.split('.');
    const found: T[] = [];
    const walk = (node: Node<T>, depth: number): void => {
      const token = tokens[depth];
      if (token === undefined) {
        for (const item of node.here) found.push(item);
        return;
      }
      for (const item of node.below) found.push(item);
      const one = node.children.get(token);
      if (one) walk(one, depth + 1);
      const any = token === '>' || token === '*' ? undefined : node.children.get('*');
      if (any) walk(any, depth + 1);
    };
    walk(this.#root, 0);
    return found;
  }

  /** From the root to the node of the last token, a `>` left out; shorter when there is none. */
  #pathOf(pattern: string, make: boolean): Node<T>[] {
    const path = [this.#root];
    const tokens = pattern.split('.');
    if (tokens.at(-1) === '>') tokens.pop();
    for (const token of tokens) {
      const node = path.at(-1);
      const next = node?.children.get(token) ?? (make ? new Node<T>() : null);
      if (!next) break;
      node?.children.set(token, next);
      path.push(next);
    }
    return path;
  }

  #placeOf(pattern: string, path: readonly Node<T>[]): Set<T> | undefined {
    const subtree = pattern === '>' || pattern.endsWith('.>');
    const whole = path.length === pattern.split('.').length + (subtree ? 0 : 1);
    const node = whole ? path.at(-1) : undefined;
    return subtree ? node?.below : node?.here;
  }
}
