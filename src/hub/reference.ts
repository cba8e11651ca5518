/** How repositories of the hub are written: `org/name`, or `org/name@revision`. */

export type RepositoryKind = "model" | "dataset";

export interface Repository {
  readonly kind: RepositoryKind;
  /** `org/name`. */
  readonly id: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const PART = "[A-Za-z0-9](?:[\\w.-]*[A-Za-z0-9_])?";
const REFERENCE = new RegExp(`^(${PART}/${PART})(?:@(.+))?$`);

/** The repository that a reference names, or null when it has not the form of one. */
export function parseReference(reference: string, kind: RepositoryKind): Repository | null {
  const match = REFERENCE.exec(reference);
  const id = match?.[1];
  if (id === undefined || id.length > 96 || /--|\.\.|\.git$/.test(id)) return null;
  const revision = match?.[2] ?? "main";
  return isSafePath(revision) && /^[\w.+/-]+$/.test(revision) ? { kind, id, revision } : null;
}

export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** Whether a name from outside, taken as a path, stays inside the folder that it is joined to, on every system. */
export function isSafePath(path: string): boolean {
  return (
    path.length <= 1024 &&
    !/[\p{Cc}\p{Cs}\\]|^[A-Za-z]:/u.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}
