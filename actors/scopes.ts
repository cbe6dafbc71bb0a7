/** Which applications share a trace, and how that trace is called on disk. */
import type { ApplicationIdentity } from '../machines/application.ts';
import type { RegistryDocument, RegistryScope, SessionDocument } from '../machines/document.ts';

export const scopeFor = (document: SessionDocument, identity: ApplicationIdentity): RegistryScope => {
  const { uid, pid, procname, startedAt } = identity;
  const ownership = document.channels[0]?.attributes.ownership ?? 'user';
  return ownership === 'user' ? { kind: 'user', uid } : { kind: 'process', uid, pid, procname, startedAt };
};

export const scopeKey = (scope: RegistryScope): string =>
  scope.kind === 'user' ? `uid-${scope.uid}` : `pid-${scope.pid}-${scope.startedAt}`;

const directoryName = (procname: string): string => procname.replace(/[/.\s\p{Cc}]/gu, '_') || '_';

/** Later generations (after a reboot, or the loss of the rings with the keeper) get a suffix: the older trace stays as it is. */
export const registryPlace = (scope: RegistryScope, generation: number): { key: string; directory: string } => {
  const suffix = generation === 1 ? '' : `-${generation}`;
  const directory =
    scope.kind === 'user'
      ? `ust/uid/${scope.uid}/64-bit${suffix}`
      : `ust/pid/${directoryName(scope.procname)}-${scope.pid}-${scope.startedAt}${suffix}`;
  return { key: `${scopeKey(scope)}${suffix}`, directory };
};

export const registryOf = (document: SessionDocument, key: string): RegistryDocument | undefined =>
  document.registries.find(({ scope }) => scopeKey(scope) === key);

export const withRegistry = (document: SessionDocument, registry: RegistryDocument): SessionDocument => {
  const key = scopeKey(registry.scope);
  const others = document.registries.filter(({ scope }) => scopeKey(scope) !== key);
  return { ...document, registries: [...others, registry] };
};

const generationOf = (registry: RegistryDocument): number =>
  Number(registry.key.slice(scopeKey(registry.scope).length + 1) || 1);

/** The same scope begins a new trace: new uuid, no event class, no ring. */
export const nextGeneration = (registry: RegistryDocument, uuid: string): RegistryDocument => ({
  ...registryPlace(registry.scope, generationOf(registry) + 1),
  scope: registry.scope,
  uuid,
  eventClasses: [],
  ringSets: [],
});
