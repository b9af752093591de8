// Who is logged in. The cookie is the browser's; this is what the server says about it.
import { ask, client, done, firstSessionOrFetch, onUnauthorized } from "$api/client";
import { ApiError } from "$api/errors";
import { queryClient } from "$api/queries";
import type { paths } from "$api/schema";

export type Account =
  paths["/api/v1/sessions/current"]["get"]["responses"]["200"]["content"]["application/json"]["data"];

class Session {
  /** `asking` until the server has said; `out` shows the login page in place of the screen. */
  state = $state<"asking" | "in" | "out" | "failed">("asking");
  account = $state<Account | null>(null);
  /** Why it could not be asked. */
  fault = $state<ApiError | null>(null);
  /** Whether a session ended under the person's hands, which the login page then says. */
  hasExpired = $state(false);

  get isAdmin(): boolean {
    return this.account?.may_administer ?? false;
  }

  /** Asks who is here. A page that is in use stays as it is meanwhile. */
  async load(): Promise<void> {
    const isInUse = this.state === "in";
    if (!isInUse) this.state = "asking";
    try {
      this.#enter(await ask(client.GET("/api/v1/sessions/current", { fetch: firstSessionOrFetch() })));
    } catch (fault) {
      if (fault instanceof ApiError && fault.status === 401) this.#leave(false);
      else if (!isInUse) {
        this.fault = fault instanceof ApiError ? fault : new ApiError("unreadable", String(fault));
        this.state = "failed";
      }
    }
  }

  /** Throws an `ApiError` when it is refused. */
  async logIn(name: string, password: string): Promise<void> {
    this.#enter(await ask(client.POST("/api/v1/sessions", { body: { name, password } })));
  }

  async logOut(): Promise<void> {
    await done(client.DELETE("/api/v1/sessions/current"));
    this.#leave(false);
  }

  /** Takes the server's word that the session is over. */
  start(): void {
    onUnauthorized(() => {
      if (this.state === "in") this.#leave(true);
    });
  }

  #enter(account: Account): void {
    // What another account has read must not be seen by this one.
    if (this.account?.account !== account.account) queryClient.clear();
    this.account = account;
    this.fault = null;
    this.hasExpired = false;
    this.state = "in";
  }

  #leave(hasExpired: boolean): void {
    this.hasExpired = hasExpired;
    if (!hasExpired) {
      this.account = null;
      queryClient.clear();
    }
    this.state = "out";
  }
}

export const session = new Session();
