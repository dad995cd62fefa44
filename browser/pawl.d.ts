/** Who is signed in. Durations are whole seconds from when it was answered. */
export interface Session {
  readonly user: { readonly id: string; readonly username?: string };
  readonly session: {
    readonly id: string;
    readonly created_at: string;
    /** When it ends whatever happens. */
    readonly expires_at: string;
    /** When it ends if it is not renewed until then. */
    readonly idle_expires_at: string;
    readonly transport: "cookie";
    readonly binding: "none" | "dbsc";
  };
  readonly access_expires_in: number;
  readonly refresh_in: number;
  readonly csrf_token: string;
}

/** One of the user's sessions. */
export interface Device {
  readonly id: string;
  /** The one that asks. */
  readonly current: boolean;
  readonly created_at: string;
  /** By the hour. */
  readonly last_seen: string;
  readonly device: string;
  /** A network, not a host. */
  readonly address?: string;
  readonly place?: string;
  readonly transport: "cookie" | "bearer";
  readonly binding: "none" | "dpop" | "dbsc";
}

/**
 * - `signed-in`: somebody is signed in who was not, as far as this page knew;
 * - `renewed`: the session was renewed, in whatever tab;
 * - `signed-out`: by `signOut`, in whatever tab;
 * - `ended`: the server says that the session is over.
 */
export type Change = "signed-in" | "renewed" | "signed-out" | "ended";

/** What `session` and `devices` throw: `status` is 0 if no answer came, `code` is the problem's. */
export interface PawlError extends Error {
  readonly status: number;
  readonly code?: string;
}

export interface Pawl {
  /**
   * As the platform's `fetch`. To our own origin it adds the CSRF token to what
   * may change something, waits for a renewal if the access token is about to
   * expire, and after a 401 renews and repeats the request once, if its body can
   * be sent again: a stream, or a Request with a body, cannot. Requests to other
   * origins, and those without credentials, pass as they are.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /**
   * Asks who is signed in, and keeps them so from then on. Null: nobody. Throws
   * a PawlError if that cannot be told now; nobody is signed out by that.
   */
  session(): Promise<Session | null>;
  /** The user's sessions, the newest login first. Throws a PawlError. */
  devices(): Promise<Device[]>;
  /** Leads to the sign-in page, and back here or to a path of this site. With `confirm`, who is signed in confirms it. */
  signIn(options?: { returnTo?: string; confirm?: boolean }): void;
  /**
   * Signs out, in all tabs at once. True: the server has ended the session.
   * False: it could not be told yet. Where there is storage, it is told as soon as
   * a page of this site asks for anything, and until then requests of `fetch` go
   * out without cookies. Where there is none, sign out again.
   */
  signOut(): Promise<boolean>;
  /** Calls back whenever something changed. Returns what ends that. */
  onChange(listener: (change: Change, session: Session | null) => void): () => void;
  /** Stops timers and listeners, and gives up what is under way. */
  dispose(): void;
}

export interface Options {
  /** Where the routes are: a path of this origin. Default: `/auth`. */
  prefix?: string;
  /** The server's settle, in seconds, if it is not the default of 75. */
  settle?: number;
}

/** One for a page does; all tabs of an origin and prefix share what they know. */
export function createPawl(options?: Options): Pawl;
