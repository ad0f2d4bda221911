/** What waits for a person, worked out from what the API's lists say. */
import type { Wire } from "../../api";
import type { Job } from "../../app/jobs/source";

export type Todo =
  | { kind: "deploymentFailed"; id: string; name: string; reason: string | null; link: string }
  | { kind: "jobFailed"; id: string; name: string; reason: string | null; link: string }
  | { kind: "jobPaused"; id: string; name: string; reason: null; link: string }
  | { kind: "versionUnused"; id: string; name: string; reason: null; link: string }
  | { kind: "routeBroken"; id: string; name: string; reason: string; link: string }
  | { kind: "invitePending"; id: string; name: string; reason: null; link: string };

export interface Known {
  deployments: readonly Wire<"DeploymentObject">[];
  jobs: readonly Job[];
  routes: readonly Wire<"RouteObject">[];
  invites: readonly Wire<"InviteWire">[];
}

const RECENT_SECONDS = 7 * 86_400;

/** Most urgent first: what is broken, what stands still, what is ready to be used. */
export function todos(known: Known, nowSeconds: number): Todo[] {
  const recent = (job: Job) => (job.finishedAt ?? job.createdAt) > nowSeconds - RECENT_SECONDS;
  const deployed = new Set(known.deployments.filter((d) => d.status !== "stopped").map((d) => d.model));
  return [
    ...known.deployments
      .filter((d) => d.status === "failed")
      .map((d) => ({ kind: "deploymentFailed" as const, id: d.id, name: d.model, reason: d.reason, link: "/deploy" })),
    ...known.routes
      .filter((route) => (route.missing_models ?? []).length > 0)
      .map((route) => ({
        kind: "routeBroken" as const,
        id: route.id,
        name: route.name,
        reason: (route.missing_models ?? []).join(", "),
        link: "/deploy",
      })),
    ...known.jobs
      .filter((job) => job.state === "failed" && recent(job))
      .map((job) => ({ kind: "jobFailed" as const, id: job.id, name: job.name, reason: job.error, link: job.link })),
    ...known.jobs
      .filter((job) => job.state === "paused")
      .map((job) => ({ kind: "jobPaused" as const, id: job.id, name: job.name, reason: null, link: job.link })),
    ...known.jobs
      .filter((job) => job.kind === "tuning" && job.state === "succeeded" && recent(job) && !deployed.has(job.name))
      .map((job) => ({ kind: "versionUnused" as const, id: job.id, name: job.name, reason: null, link: "/deploy" })),
    ...known.invites
      .filter((invite) => invite.status === "pending")
      .map((invite) => ({
        kind: "invitePending" as const,
        id: invite.id,
        name: invite.email,
        reason: null,
        link: "/people/invites",
      })),
  ];
}
