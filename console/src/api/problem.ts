// Errors of the API: RFC 9457 problems, with Covey's code of the error and its mend.

export interface ProblemData {
  status: number;
  code: string;
  detail: string;
  mend: string;
}

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly mend: string;

  constructor(data: ProblemData) {
    super(data.detail);
    this.name = "ApiProblem";
    this.status = data.status;
    this.code = data.code;
    this.mend = data.mend;
  }
}

/** The problem of an answer that is no success, whatever its body is. */
export async function problemOf(response: Response): Promise<ApiProblem> {
  let body: unknown;
  try {
    body = await response.clone().json();
  } catch {
    body = undefined;
  }
  return new ApiProblem({
    status: response.status,
    code: textOf(body, "code") ?? `HTTP_${response.status}`,
    detail: textOf(body, "detail") ?? `The console answered with status ${response.status}.`,
    mend: textOf(body, "mend") ?? "",
  });
}

/** An error of any kind as a problem that the page can show. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) {
    return error;
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new ApiProblem({ status: -1, code: "DEFECT", detail, mend: "" });
}

function textOf(body: unknown, key: string): string | undefined {
  if (typeof body !== "object" || body === null) {
    return undefined;
  }
  const value: unknown = (body as Record<string, unknown>)[key];
  return typeof value === "string" ? value : undefined;
}
