/** The playground's token: ten minutes, in memory only, of one person in one project. */
import { sessionApi } from "../../api";

const SPARE_SECONDS = 60;

let known: { owner: string; token: string; expiresAt: number } | null = null;

/** `owner` names the person and the project, so that nobody gets another's token. */
export async function tokenOf(owner: string, fresh = false): Promise<string> {
  if (!fresh && known?.owner === owner && known.expiresAt - SPARE_SECONDS > Date.now() / 1000) return known.token;
  const { token, expires_at } = await sessionApi.token();
  known = { owner, token, expiresAt: expires_at };
  return token;
}
