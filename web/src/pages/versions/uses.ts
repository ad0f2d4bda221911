/** What depends on a version: names, routes, deployments, and versions that were trained from it. Pure functions. */
import type { Alias, Deployment, Route, Version } from "./types";

export interface Uses {
  aliases: Alias[];
  /** Routes that send requests to the version, by its id or by one of its names. */
  routes: Route[];
  /** Not the stopped ones. */
  deployments: Deployment[];
  children: Version[];
  /** Other versions of the same job: its checkpoints, or the final model. */
  siblings: Version[];
}

interface Known {
  aliases: readonly Alias[];
  routes: readonly Route[];
  deployments: readonly Deployment[];
  versions: readonly Version[];
}

export function usesOf(version: Version, known: Known): Uses {
  const aliases = known.aliases.filter(({ target }) => target === version.id);
  const names = new Set([version.id, ...aliases.map(({ name }) => name)]);
  return {
    aliases,
    routes: known.routes.filter((route) => modelsOf(route).some((model) => names.has(model))),
    deployments: known.deployments.filter(({ model, status }) => model === version.id && status !== "stopped"),
    children: known.versions.filter(({ parent }) => parent === version.id),
    siblings: known.versions.filter(({ id, job_id }) => id !== version.id && job_id !== null && job_id === version.job_id),
  };
}

/** Every model that a route may ask. */
export function modelsOf(route: Route): string[] {
  const found = [
    ...route.targets,
    route.canary,
    route.mirror,
    ...(route.schedule ?? []).flatMap(({ targets }) => targets),
  ].flatMap((place) => (place ? [place.model] : []));
  return [...new Set([...found, ...(route.fallbacks ?? []), ...(route.cascade ? [route.cascade.first] : [])])];
}

/** "registry.example/base" stays; of `ft:<base>:<organization>:<suffix>:<random>` the part that people recognise. */
export function shortName(id: string): string {
  const parts = id.split(":");
  if (parts[0] !== "ft" || parts.length < 5) return id;
  const [, base, , suffix, random, checkpoint] = parts;
  return [suffix || base, random, checkpoint].filter(Boolean).join(" · ");
}
