// Made from contracts/openapi.json by `npm run api`. Not edited by hand.
export interface paths {
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Banner */
        get: operations["banner"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/context/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Context of a record
         * @description The record with those before and after it in its stream, by time.
         */
        get: operations["context"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deletions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Deletions
         * @description Those under way and the latest that have ended. `after` is the number of the last one of the
         *     page before.
         */
        get: operations["deletions"];
        put?: never;
        /**
         * Delete records
         * @description The records that match are hidden from every reader with the answer, and removed from disk in
         *     the background; records that arrive later are not concerned. With `dry_run` they are only
         *     counted (200). Sealed streams are refused.
         */
        post: operations["create_deletion"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deletions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One deletion */
        get: operations["deletion"];
        put?: never;
        post?: never;
        /**
         * Cancel a deletion
         * @description What was not removed yet is visible again, and stays; what was removed (`rows_removed`) is gone.
         */
        delete: operations["cancel_deletion"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/facets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Facets by parameters */
        get: operations["facets_get"];
        put?: never;
        /**
         * Facets
         * @description The most frequent values of fields among the matching records.
         */
        post: operations["facets_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/fields": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Fields by parameters */
        get: operations["fields_get"];
        put?: never;
        /**
         * Fields
         * @description Names of the fields of the matching records, the JSON kinds of their values, and how many
         *     records have them.
         */
        post: operations["fields_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/histogram": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Histogram by parameters */
        get: operations["histogram_get"];
        put?: never;
        /**
         * Histogram
         * @description Counts of matching records by time, and by the values of a field. Give `interval`, or `buckets`
         *     for a readable width of about that many. Buckets without records are left out.
         */
        post: operations["histogram_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/ingest/{stream}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ingest records
         * @description NDJSON, one JSON array, or one JSON object, optionally compressed (`gzip`, `zstd`, `deflate`).
         *     200 means durable: what was accepted survives a crash from then on. Records that are not taken
         *     are listed with their index and the reason; if none is taken the answer is 422. A repeat of an
         *     `Idempotency-Key` within 24 hours stores nothing and gets the first answer.
         */
        post: operations["ingest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * API keys
         * @description Of the own account, or for admins of one or all accounts that they manage. Never the secret.
         */
        get: operations["keys"];
        put?: never;
        /**
         * Make an API key
         * @description The secret is in this answer and nowhere else. A key can never do more than its account.
         */
        post: operations["create_key"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One API key */
        get: operations["key"];
        put?: never;
        post?: never;
        /**
         * Revoke an API key
         * @description It is refused from now on, and tails that it has opened end within five seconds.
         */
        delete: operations["revoke_key"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/logging/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Records by filters
         * @description The latest first. A filter without a value is none. `level` is exact, several are separated by
         *     commas. `search` is literal words, all of them in any order; `q` is the search language. Others
         *     than admins see their own records.
         */
        get: operations["logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/logging/logs/{log_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One record */
        get: operations["log"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mcps": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Instances
         * @description Own ones, for admins all of their tenants. `after` is the number of the last one of the page
         *     before.
         */
        get: operations["instances"];
        put?: never;
        /**
         * Make an instance
         * @description Its records are those of `user_id`, for ever.
         */
        post: operations["create_instance"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mcps/{instanceId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One instance
         * @description A deleted one as long as its records can be read.
         */
        get: operations["instance"];
        put?: never;
        post?: never;
        /**
         * Delete an instance
         * @description It takes no records from now on and its keys are revoked. Its records can be read for seven days
         *     more; its id is free again when they are gone.
         */
        delete: operations["delete_instance"];
        options?: never;
        head?: never;
        /**
         * Change an instance
         * @description What is not given stays. One that is not active takes no records: its sender gets 403.
         */
        patch: operations["change_instance"];
        trace?: never;
    };
    "/api/v1/mcps/{instanceId}/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Keys of an instance
         * @description Never the secret.
         */
        get: operations["instance_keys"];
        put?: never;
        /**
         * Make a key of an instance
         * @description For whoever runs it: the key writes the records of this instance and its supervisor's, and
         *     nothing else; it reads nothing. It ends with the instance.
         */
        post: operations["create_instance_key"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mcps/{instanceId}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Records of an instance
         * @description The latest first. `level` is one of the four that are printed: `error` finds critical records
         *     too, `debug` those of trace. With `format=csv` or `txt` the total is in `X-Total-Count`, the
         *     cursor of the next page in `X-Next-Cursor`, and `X-Partial: true` says that something could not
         *     be read.
         */
        get: operations["instance_logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This description */
        get: operations["openapi_json"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Search by parameters
         * @description The same with parameters of the same names; `streams` and `fields` separated by commas.
         */
        get: operations["search_get"];
        put?: never;
        /**
         * Search
         * @description A page of matching records. `limit: 0` only counts. The cursor continues after the page, and
         *     records that arrive later do not disturb it. A query with pipes is answered by a table
         *     (`TableAnswer`); its pipes say order, fields and number of the rows, not the parameters.
         */
        post: operations["search_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Own sessions */
        get: operations["sessions"];
        put?: never;
        /**
         * Log in
         * @description Begins a session and sets its cookie. After repeated failures from one address the answer is
         *     429, and even the right password is not looked at for a while.
         */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** End one of the own sessions */
        delete: operations["revoke"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/current": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Who am I
         * @description The account behind the credential, whatever kind it is.
         */
        get: operations["current"];
        put?: never;
        post?: never;
        /**
         * Log out
         * @description Ends the session and clears its cookie.
         */
        delete: operations["logout"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/streams": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Streams
         * @description Every stream that the caller may read or write, by name.
         */
        get: operations["streams"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tail": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Live tail (Server-Sent Events)
         * @description The messages of `/ws/logs` as events whose name is the message's `type`. The `id` of an event
         *     is its cursor: a browser that reconnects sends it as `Last-Event-ID` and goes on after it.
         */
        get: operations["tail_sse"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Accounts
         * @description For admins. `after` is the number of the last account of the page before.
         */
        get: operations["users"];
        put?: never;
        /** Make an account */
        post: operations["create_user"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One account */
        get: operations["user"];
        put?: never;
        post?: never;
        /**
         * Delete an account
         * @description Its API keys and sessions go with it.
         */
        delete: operations["delete_user"];
        options?: never;
        head?: never;
        /**
         * Change an account
         * @description What is not given stays. A new password or role, or disabling, ends its sessions at once. The
         *     last enabled admin stays one.
         */
        patch: operations["change_user"];
        trace?: never;
    };
    "/api/v1/users/me/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Change the own password
         * @description Needs the old one. Ends every session of the account, this one too.
         */
        put: operations["change_own_password"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Health
         * @description 503 while records are refused or the server is being stopped.
         */
        get: operations["healthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/livez": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Liveness
         * @description 200 as long as the process answers: a restart mends nothing that this does not show.
         */
        get: operations["livez"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Measures
         * @description In the text format of Prometheus, for admins; for everybody if the configuration says so.
         */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Readiness
         * @description 503 when no traffic should be sent here.
         */
        get: operations["readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ws/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Live tail (WebSocket)
         * @description The latest `backlog` records, then every matching new record once and in order of arrival, as
         *     text frames: `{"type":"log_entry","data":{…},"cursor":"…"}`, `{"type":"dropped","count":…,"cursor":"…"}`
         *     if the client is too slow, `{"type":"cursor","cursor":"…"}` every second, `{"type":"error",…}`.
         *     A cursor resumes after a reconnect.
         */
        get: operations["tail_socket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ws/mcps/{instanceId}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Live tail of an instance (WebSocket)
         * @description The latest `backlog` records, then every new one, as text frames:
         *     `{"type":"log_entry","data":{"timestamp","level","message","metadata":{…}},"cursor":"…"}`, and
         *     between them `dropped`, `cursor` and `error` as on `/ws/logs`.
         */
        get: operations["instance_socket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description What of an instance is to change. */
        ChangeMcp: {
            /** @description New service; empty: none. */
            service?: string | null;
            /** @description New status. */
            status?: string | null;
        };
        /** @description What of an account is to change. */
        ChangeUser: {
            /** @description Whether it is disabled; ends every session. */
            is_disabled?: boolean | null;
            /** @description New own user ids. */
            own_user_ids?: string[] | null;
            /** @description New password; ends every session. */
            password?: string | null;
            /** @description New role; ends every session. */
            role?: string | null;
            /** @description New tenants. */
            tenants?: string[] | null;
        };
        /** @description Answer of context. */
        ContextAnswer: {
            /** @description The record and its neighbours. */
            data: components["schemas"]["ContextData"];
        };
        /** @description A record and its neighbours. */
        ContextData: {
            /** @description Those after it, earliest first. */
            after: components["schemas"]["Record"][];
            /** @description Those before it, earliest first. */
            before: components["schemas"]["Record"][];
            /** @description Whether something could not be read. */
            partial: boolean;
            /** @description The record. */
            record: components["schemas"]["Record"];
            /**
             * Format: double
             * @description Milliseconds on the server.
             */
            took_ms: number;
        };
        /** @description A new deletion. */
        CreateDeletion: {
            /** @description Only count what would be deleted. */
            dry_run?: boolean | null;
            /** @description Until when. */
            end_time?: string | null;
            /** @description Query text; empty: all of the streams and times. Times without a zone are in UTC. */
            query?: string | null;
            /** @description Why: kept with the deletion and in the audit records. */
            reason: string;
            /** @description From when on. */
            start_time?: string | null;
            /** @description Stream names and patterns. */
            streams: string[];
        };
        /** @description A new API key. */
        CreateKey: {
            /**
             * Format: int64
             * @description Account that it acts for; default the own one.
             */
            account?: number | null;
            /** @description When it ends; default never. */
            expires_at?: string | null;
            /** @description 1 to 100 characters. */
            name: string;
            scope?: components["schemas"]["ScopeEntry"] | null;
        };
        /** @description A new instance. */
        CreateMcp: {
            /** @description A UUID or a name of 1 to 128 characters of a-z, A-Z, 0-9 and `._-`; default a new UUID. */
            id?: string | null;
            /** @description What it serves, such as `figma`. */
            service?: string | null;
            /** @description `active`, `inactive` or `expired`; default `active`. */
            status?: string | null;
            /**
             * @description Its owner, for ever; default the account's own user id, if it has exactly one. Admins give
             *     any.
             */
            user_id?: string | null;
        };
        /** @description A new key of an instance. */
        CreateMcpKey: {
            /**
             * Format: int64
             * @description Account that it acts for, which must own the instance; default the own one.
             */
            account?: number | null;
            /** @description When it ends; default never. */
            expires_at?: string | null;
            /** @description 1 to 100 characters. */
            name: string;
        };
        /** @description A new account. */
        CreateUser: {
            /** @description 1 to 254 characters of letters, digits and `._-+@`; unique whatever the case. */
            name: string;
            /** @description User ids whose records are its own; default none. */
            own_user_ids?: string[] | null;
            /** @description 8 characters to 1,024 bytes. */
            password: string;
            /** @description `admin` or `user`; default `user`. */
            role?: string | null;
            /** @description Tenants, of one's own; default the one that one writes to. */
            tenants?: string[] | null;
        };
        /** @description Records that are taken out for good. */
        Deletion: {
            /** @description When it was made: from then on the records are hidden. */
            created_at: string;
            /** @description Until when. */
            end_time?: string | null;
            /** @description When it was done or cancelled. */
            ended_at?: string | null;
            /** @description Why it cannot go on. */
            failure?: string | null;
            /**
             * Format: int64
             * @description Its number.
             */
            id: number;
            /** @description Which of them; empty: all of the streams and times. */
            query: string;
            /** @description Why. */
            reason: string;
            /** @description Name of the account that asked for it. */
            requested_by: string;
            /**
             * Format: int64
             * @description Records that matched when it was made.
             */
            rows_matched: number;
            /**
             * Format: int64
             * @description Records that were removed so far. Rules of retention may remove some of them before.
             */
            rows_removed: number;
            /**
             * Format: int64
             * @description Those of them that hold none any more.
             */
            sections_done: number;
            /**
             * Format: int64
             * @description Segment sections that could hold such records when it was made.
             */
            sections_total: number;
            /** @description From when on. */
            start_time?: string | null;
            /**
             * @description `queued`: the records are hidden; `running`: they are being removed; `done`; `cancelled`;
             *     `failed`: they are hidden and cannot be removed.
             */
            state: string;
            /** @description Of which streams. */
            streams: string[];
            /** @description Whose records. */
            tenant: string;
        };
        /** @description The most frequent values of a field. */
        FacetEntry: {
            /**
             * Format: int64
             * @description Number of different values.
             */
            distinct: number;
            /** @description The field. */
            field: string;
            /** @description Whether `distinct` is an estimate and the counts are lower bounds. */
            is_estimate: boolean;
            /** @description The most frequent first. */
            values: components["schemas"]["FacetValueEntry"][];
        };
        /** @description Answer of facets. */
        FacetsAnswer: {
            /** @description The facets. */
            data: components["schemas"]["FacetsData"];
        };
        /** @description Facets in the order of the request. */
        FacetsData: {
            /** @description For other questions that are to count the same records. */
            as_of: string;
            /** @description One for each field. */
            facets: components["schemas"]["FacetEntry"][];
            /** @description Whether something could not be read. */
            partial: boolean;
            /**
             * Format: double
             * @description Milliseconds on the server.
             */
            took_ms: number;
        };
        /** @description Which facets. */
        FacetsQuestion: {
            /** @description `as_of` of another answer: count what it counted, with the same `now`. */
            as_of?: string | null;
            /** @description Latest time, included. */
            end_time?: string | null;
            /** @description Fields, 1 to 20; `stream` is one too. */
            fields: string[];
            /**
             * Format: int32
             * @description Values of each, at most 1,000; default 10.
             * @default 10
             */
            limit?: number | null;
            /** @description Query in the search language; empty: everything. */
            query?: string | null;
            /** @description Literal words beside the query. */
            search?: string | null;
            /** @description Earliest time. */
            start_time?: string | null;
            /** @description Streams, or prefixes with `*`. */
            streams?: string[] | null;
            /** @description Zone of times without one. */
            timezone?: string | null;
        };
        /** @description A value and how often it is there. */
        FacetValueEntry: {
            /**
             * Format: int64
             * @description Records that have it.
             */
            count: number;
            /** @description Its text. */
            value: string;
        };
        /** @description A field of the matching records. */
        FieldEntry: {
            /**
             * Format: int64
             * @description Records that have it.
             */
            count: number;
            /** @description `string`, `integer`, `float`, `boolean`, `json`. */
            kinds: string[];
            /** @description Its name. */
            name: string;
        };
        /** @description Answer of fields. */
        FieldsAnswer: {
            /** @description The fields. */
            data: components["schemas"]["FieldsData"];
        };
        /** @description Fields by name. */
        FieldsData: {
            /** @description For other questions that are to count the same records. */
            as_of: string;
            /** @description One for each. */
            fields: components["schemas"]["FieldEntry"][];
            /** @description Whether something could not be read. */
            partial: boolean;
            /**
             * Format: double
             * @description Milliseconds on the server.
             */
            took_ms: number;
        };
        /** @description Which records' fields. */
        FieldsQuestion: {
            /** @description `as_of` of another answer: count what it counted, with the same `now`. */
            as_of?: string | null;
            /** @description Latest time, included. */
            end_time?: string | null;
            /** @description Query in the search language; empty: everything. */
            query?: string | null;
            /** @description Literal words beside the query. */
            search?: string | null;
            /** @description Earliest time. */
            start_time?: string | null;
            /** @description Streams, or prefixes with `*`. */
            streams?: string[] | null;
            /** @description Zone of times without one. */
            timezone?: string | null;
        };
        /** @description Answer of a histogram. */
        HistogramAnswer: {
            /** @description The counts. */
            data: components["schemas"]["HistogramData"];
        };
        /** @description Counts by time. */
        HistogramData: {
            /** @description For other questions that are to count the same records. */
            as_of: string;
            /** @description Width of a bucket, such as `1m`. */
            interval: string;
            /** @description Whether something could not be read. */
            partial: boolean;
            /** @description One series, or one for each value of `by`, the largest first. */
            series: components["schemas"]["HistogramSeries"][];
            /**
             * Format: double
             * @description Milliseconds on the server.
             */
            took_ms: number;
            /**
             * Format: int64
             * @description All counts together.
             */
            total: number;
        };
        /** @description What to count by time. */
        HistogramQuestion: {
            /** @description `as_of` of another answer: count what it counted, with the same `now`. */
            as_of?: string | null;
            /**
             * Format: int32
             * @description Number of buckets for a readable width, at most 5,000; default 60.
             */
            buckets?: number | null;
            /**
             * @description Field whose values split the counts.
             * @example level
             */
            by?: string | null;
            /** @description Latest time, included. */
            end_time?: string | null;
            /**
             * @description Width of a bucket, such as `1m`.
             * @example 1m
             */
            interval?: string | null;
            /** @description Query in the search language; empty: everything. */
            query?: string | null;
            /** @description Literal words beside the query. */
            search?: string | null;
            /** @description Earliest time. */
            start_time?: string | null;
            /** @description Streams, or prefixes with `*`. */
            streams?: string[] | null;
            /** @description Zone of times without one. */
            timezone?: string | null;
        };
        /** @description Counts of one value. */
        HistogramSeries: {
            /** @description The value; `null` unless `kind` is `value`. */
            key?: string | null;
            /** @description `all` (no `by`), `value`, `missing` (records without the field), `other` (further values). */
            kind: string;
            /** @description (beginning of the bucket, count), without empty buckets. */
            points: unknown[][];
        };
        /** @description Answer of ingest. */
        IngestAnswerBody: {
            /** @description What happened to the batch. */
            data: components["schemas"]["IngestAnswerData"];
        };
        /** @description What happened to a batch. */
        IngestAnswerData: {
            /**
             * Format: int32
             * @description Records that are durable.
             */
            accepted: number;
            /** @description Records that were left out on purpose, by reason. */
            dropped: {
                [key: string]: number;
            };
            /** @description Records that were not taken. */
            rejected: components["schemas"]["RejectedRecord"][];
            /**
             * Format: int32
             * @description How many were not taken, where `rejected` was cut to the first of them.
             */
            rejected_total?: number | null;
        };
        /** @description An API key. */
        Key: {
            /**
             * Format: int64
             * @description Account that it acts for.
             */
            account: number;
            /** @description When it was made. */
            created_at: string;
            /** @description When it ends. */
            expires_at?: string | null;
            /**
             * Format: int64
             * @description Its number.
             */
            id: number;
            /** @description When it was last used, to within five minutes. */
            last_used_at?: string | null;
            /** @description Its name. */
            name: string;
            /** @description When it was revoked. */
            revoked_at?: string | null;
            /** @description What it may be used for. */
            scope: components["schemas"]["ScopeEntry"];
        };
        /** @description Answer with one record. */
        LogAnswer: {
            /** @description The record. */
            data: components["schemas"]["Record"];
        };
        /** @description Credentials of a login. */
        Login: {
            /** @description Name of the account. */
            name: string;
            /** @description Its password. */
            password: string;
        };
        /** @description Answer of the log route. */
        LogsAnswer: {
            /** @description The page. */
            data: components["schemas"]["LogsPage"];
        };
        /** @description A page of records. */
        LogsPage: {
            /** @description For other questions that are to count the same records. */
            as_of: string;
            /** @description The filters as they were understood. */
            filters_applied: {
                [key: string]: unknown;
            };
            /** @description The latest first. */
            logs: components["schemas"]["Record"][];
            /** @description Where the page stands. */
            pagination: components["schemas"]["Pagination"];
            /** @description Whether something could not be read. */
            partial: boolean;
        };
        /** @description An MCP instance: a program that works for one user. */
        Mcp: {
            /** @description When it was last changed. */
            changed_at: string;
            /** @description When it was made. */
            created_at: string;
            /** @description When it was deleted. */
            deleted_at?: string | null;
            /** @description Its id: the `instance_id` of its records. */
            id: string;
            /**
             * Format: int64
             * @description Its number.
             */
            number: number;
            /** @description Until when the records of a deleted one can be read. */
            records_until?: string | null;
            /** @description What it serves: the `source` of records that name none. */
            service?: string | null;
            /** @description `active`, `inactive` or `expired`; records of an active one are taken. */
            status: string;
            /** @description Its tenant. */
            tenant: string;
            /** @description Its owner: the `user_id` of its records. */
            user_id: string;
        };
        /** @description A record of an instance. */
        McpEntry: {
            /** @description `debug`, `info`, `warn` or `error`. */
            level: string;
            /** @description What happened. */
            message: string;
            /** @description Everything else. */
            metadata: components["schemas"]["McpMetadata"];
            /** @description Time of the record. */
            timestamp: string;
        };
        /** @description Answer with records of an instance. */
        McpLogsAnswer: {
            /** @description The page. */
            data: components["schemas"]["McpLogsPage"];
        };
        /** @description A page of an instance's records. */
        McpLogsPage: {
            /** @description What was counted, for another answer about the same. */
            as_of: string;
            /** @description The filters as they were understood. */
            filters_applied: {
                [key: string]: unknown;
            };
            /** @description The latest first. */
            logs: components["schemas"]["McpEntry"][];
            /** @description Where the page stands. */
            pagination: components["schemas"]["Pagination"];
            /** @description Whether something could not be read. */
            partial: boolean;
        };
        /** @description What else a record of an instance says. */
        McpMetadata: {
            /** @description Public id of the record. */
            id: string;
            /** @description The instance. */
            instanceId: string;
            /** @description What it serves. */
            service?: string | null;
            /** @description `instance.app`, `instance.access` or `instance.error`. */
            stream: string;
            /** @description `stdout`, `stderr`, `system` or `http`. */
            type?: string | null;
            /** @description Its owner. */
            userId: string;
        } & {
            [key: string]: unknown;
        };
        /** @description A change of the own password. */
        OwnPassword: {
            /** @description The new one. */
            new_password: string;
            /** @description The password so far. */
            old_password: string;
        };
        /** @description Where a page stands. */
        Pagination: {
            /** @description For the next page. */
            cursor?: string | null;
            /** @description Whether there is a next page. */
            has_more: boolean;
            /**
             * Format: int32
             * @description Records of a page.
             */
            limit: number;
            /**
             * Format: int32
             * @description Records that were passed over.
             */
            offset: number;
            /**
             * Format: int64
             * @description How many match.
             */
            total: number;
        };
        /** @description An error (RFC 9457), as `application/problem+json`. */
        ProblemDocument: {
            /** @description What was wrong here, and what would be right. */
            detail: string;
            /** @description For a faulty query: character after the last one at fault. */
            end?: number | null;
            /** @description For values that are not valid: all of them. */
            errors?: components["schemas"]["ProblemField"][] | null;
            /** @description For a faulty query: what would be right. */
            hint?: string | null;
            /** @description For an unknown stream: the nearest names. */
            nearest?: string[] | null;
            /** @description For a batch of which nothing was taken: the first rejected records. */
            rejected?: components["schemas"]["RejectedRecord"][] | null;
            /** @description Id of the request, as in the header `X-Request-Id`. */
            request_id: string;
            /** @description For a faulty query: first character at fault, counted from 0. */
            start?: number | null;
            /**
             * Format: int32
             * @description HTTP status.
             */
            status: number;
            /** @description The same for people. */
            title: string;
            /** @description Kind of the problem, such as `urn:taffrail:problem:invalid-query`. */
            type: string;
        };
        /** @description One of several faults of a request. */
        ProblemField: {
            /** @description What is wrong and what would be right. */
            detail: string;
            /** @description Parameter or member of the body. */
            field: string;
        };
        /** @description A record: canonical names, then every other field by name, each value as it came. */
        Record: {
            /** @description Public id. */
            id: string;
            /** @description `trace`, `debug`, `info`, `warn`, `error` or `critical`. */
            level: string;
            /** @description What happened. */
            message?: string | null;
            /** @description Stream. */
            stream: string;
            /** @description Tenant. */
            tenant: string;
            /** @description Time of the record. */
            timestamp: string;
        } & {
            [key: string]: unknown;
        };
        /** @description A record that was not taken. */
        RejectedRecord: {
            /** @description What was wrong. */
            detail: string;
            /**
             * Format: int32
             * @description Index of the record in the request, from 0.
             */
            index: number;
            /**
             * @description Kind of fault, such as `invalid_json`, `record_too_large`, `too_deep`,
             *     `invalid_timestamp`, `too_old`, `missing_field`.
             */
            type: string;
        };
        /** @description What a credential may be used for, within what its account may do. */
        ScopeEntry: {
            /** @enum {string} */
            scope: "full";
        } | {
            /** @enum {string} */
            scope: "ingest";
            /** @description Stream patterns. */
            streams: string[];
        } | {
            /** @enum {string} */
            scope: "read";
            /** @description Stream patterns. */
            streams: string[];
        } | {
            /** @description Id of the instance. */
            instance: string;
            /** @enum {string} */
            scope: "instance";
        };
        /** @description Answer of a search. */
        SearchAnswer: {
            /** @description The page. */
            data: components["schemas"]["SearchPage"];
        };
        /** @description A page of records. */
        SearchPage: {
            /** @description For other questions that are to count the same records. */
            as_of: string;
            /** @description For the next page; `null` if this is the last. */
            cursor?: string | null;
            /** @description Whether something could not be read. */
            partial: boolean;
            /** @description The records. */
            records: components["schemas"]["Record"][];
            /**
             * Format: double
             * @description Milliseconds on the server.
             */
            took_ms: number;
            /**
             * Format: int64
             * @description How many match in all pages; `null` without `count`.
             */
            total?: number | null;
            /** @description Whether the total is not exact. */
            total_is_estimate: boolean;
        };
        /** @description What to search. */
        SearchQuestion: {
            /** @description `as_of` of another answer: count what it counted, with the same `now`. */
            as_of?: string | null;
            /**
             * @description Whether the exact total is wanted, which takes a scan of everything that is asked for.
             * @default true
             */
            count?: boolean | null;
            /** @description Cursor of the page before. */
            cursor?: string | null;
            /**
             * @description Latest time, included.
             * @example now
             */
            end_time?: string | null;
            /** @description Fields to return, in this order; default all. */
            fields?: string[] | null;
            /**
             * Format: int32
             * @description Records of the page, at most 10,000; 0 only counts; default 100.
             * @default 100
             */
            limit?: number | null;
            /**
             * Format: int32
             * @description Records to pass over, at most 1,000,000; a cursor is faster.
             */
            offset?: number | null;
            /**
             * @description `desc` (latest first), `asc`, or `arrival`.
             * @default desc
             */
            order?: string | null;
            /**
             * Format: int32
             * @description Texts are cut to so many bytes, 16 to 65,536, and `_cut` of a record gives the whole lengths of those that were; default whole.
             */
            preview_bytes?: number | null;
            /**
             * @description Query in the search language; empty: everything.
             * @example level:error source:figma
             */
            query?: string | null;
            /** @description Literal words beside the query, all of them in any order. */
            search?: string | null;
            /**
             * @description Earliest time: RFC 3339, `now-1h`, `2026-01-04 14:00`, epoch; default: everything.
             * @example now-1h
             */
            start_time?: string | null;
            /** @description Streams, or prefixes with `*`; default: all that may be read but the product's own events. */
            streams?: string[] | null;
            /** @description Zone of times without one, such as `Europe/Berlin`; default UTC. */
            timezone?: string | null;
        };
        /** @description A session. */
        SessionEntry: {
            /** @description Address that logged in. */
            address?: string | null;
            /** @description When it began. */
            created_at: string;
            /** @description When it ends at the latest. */
            expires_at: string;
            /**
             * Format: int64
             * @description Its number.
             */
            id: number;
            /** @description When it was last used, to within a minute. */
            last_seen_at: string;
        };
        /** @description A stream. */
        StreamEntry: {
            /** @description `restricted`, or `own_records`: users see the records of their own user ids. */
            access: string;
            /** @description Whether expired records go to the archive. */
            is_archived: boolean;
            /** @description Whether missing required fields are filled in. */
            is_policy: boolean;
            /** @description Whether it is tamper-evident. */
            is_sealed: boolean;
            /** @description Whether it is searched when no stream is named. */
            is_searched_by_default: boolean;
            /** @description Whether records without a required field are rejected. */
            is_strict: boolean;
            /** @description Whether the caller may read something of it. */
            may_read: boolean;
            /** @description Whether the caller may write to it. */
            may_write: boolean;
            /** @description Its name. */
            name: string;
            /**
             * Format: int32
             * @description Days that a record is kept; `null`: for ever.
             */
            retention_days?: number | null;
        };
        /** @description Answer of a search whose query has pipes. */
        TableAnswer: {
            /** @description The table. */
            data: components["schemas"]["TableData"];
        };
        /** @description A column of a table. */
        TableColumn: {
            /** @description Its name. */
            name: string;
            /** @description `string`, `integer`, `number`, `boolean` or `time`; values may be `null`. */
            type: string;
        };
        /** @description Columns and rows. */
        TableData: {
            /** @description For other questions that are to count the same records. */
            as_of: string;
            /** @description The columns. */
            columns: components["schemas"]["TableColumn"][];
            /** @description Whether a number of different values, or the counts of `top`, are estimates. */
            is_estimate: boolean;
            /** @description Whether rows are missing because they are too many or too long for one answer. */
            is_truncated: boolean;
            /** @description Whether something could not be read. */
            partial: boolean;
            /** @description The rows, at most 10,000, with a value for each column. */
            rows: unknown[][];
            /**
             * Format: double
             * @description Milliseconds on the server.
             */
            took_ms: number;
            /**
             * Format: int64
             * @description How many rows there are.
             */
            total: number;
        };
        /** @description An account. */
        User: {
            /** @description When it was made. */
            created_at: string;
            /**
             * Format: int64
             * @description Its number.
             */
            id: number;
            /** @description Whether it may not log in. */
            is_disabled: boolean;
            /** @description Login name. */
            name: string;
            /** @description User ids whose records are its own. */
            own_user_ids: string[];
            /** @description `admin` or `user`. */
            role: string;
            /** @description Tenants; the first is written to. */
            tenants: string[];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    banner: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Name and version */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Being stopped */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    context: {
        parameters: {
            query?: {
                /** @description Records after it, at most 1,000 (10) */
                after?: number;
                /** @description Records before it, at most 1,000 (10) */
                before?: number;
                /** @description Fields of the neighbours, in this order; default all */
                fields?: string[];
                /** @description Texts of the neighbours are cut to so many bytes, 16 to 65,536; default whole */
                preview_bytes?: number;
                /** @description Only records of the same source (false) */
                same_source?: boolean;
            };
            header?: never;
            path: {
                /** @description Id of the record */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The record and its neighbours, earliest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ContextAnswer"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such record */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    deletions: {
        parameters: {
            query?: {
                /** @description Deletions with greater numbers (0) */
                after?: number;
                /** @description At most 1,000 (100) */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deletions by number */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Deletions. */
                        data: {
                            /** @description By number. */
                            deletions: components["schemas"]["Deletion"][];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    create_deletion: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateDeletion"];
            };
        };
        responses: {
            /** @description What would be deleted */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description What a deletion would hide. */
                        data: {
                            /** @description Always `true`: nothing was deleted. */
                            dry_run: boolean;
                            /** @description Whether there may be more, in what cannot be read. */
                            partial: boolean;
                            /**
                             * Format: int64
                             * @description Records that match.
                             */
                            rows_matched: number;
                        };
                    };
                };
            };
            /** @description The deletion */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Records that are taken out for good. */
                        data: {
                            /** @description When it was made: from then on the records are hidden. */
                            created_at: string;
                            /** @description Until when. */
                            end_time?: string | null;
                            /** @description When it was done or cancelled. */
                            ended_at?: string | null;
                            /** @description Why it cannot go on. */
                            failure?: string | null;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            id: number;
                            /** @description Which of them; empty: all of the streams and times. */
                            query: string;
                            /** @description Why. */
                            reason: string;
                            /** @description Name of the account that asked for it. */
                            requested_by: string;
                            /**
                             * Format: int64
                             * @description Records that matched when it was made.
                             */
                            rows_matched: number;
                            /**
                             * Format: int64
                             * @description Records that were removed so far. Rules of retention may remove some of them before.
                             */
                            rows_removed: number;
                            /**
                             * Format: int64
                             * @description Those of them that hold none any more.
                             */
                            sections_done: number;
                            /**
                             * Format: int64
                             * @description Segment sections that could hold such records when it was made.
                             */
                            sections_total: number;
                            /** @description From when on. */
                            start_time?: string | null;
                            /**
                             * @description `queued`: the records are hidden; `running`: they are being removed; `done`; `cancelled`;
                             *     `failed`: they are hidden and cannot be removed.
                             */
                            state: string;
                            /** @description Of which streams. */
                            streams: string[];
                            /** @description Whose records. */
                            tenant: string;
                        };
                    };
                };
            };
            /** @description Body or query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin, or a sealed stream */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many deletions are under way */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many queries, or the log cannot be written */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    deletion: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the deletion */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The deletion */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Records that are taken out for good. */
                        data: {
                            /** @description When it was made: from then on the records are hidden. */
                            created_at: string;
                            /** @description Until when. */
                            end_time?: string | null;
                            /** @description When it was done or cancelled. */
                            ended_at?: string | null;
                            /** @description Why it cannot go on. */
                            failure?: string | null;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            id: number;
                            /** @description Which of them; empty: all of the streams and times. */
                            query: string;
                            /** @description Why. */
                            reason: string;
                            /** @description Name of the account that asked for it. */
                            requested_by: string;
                            /**
                             * Format: int64
                             * @description Records that matched when it was made.
                             */
                            rows_matched: number;
                            /**
                             * Format: int64
                             * @description Records that were removed so far. Rules of retention may remove some of them before.
                             */
                            rows_removed: number;
                            /**
                             * Format: int64
                             * @description Those of them that hold none any more.
                             */
                            sections_done: number;
                            /**
                             * Format: int64
                             * @description Segment sections that could hold such records when it was made.
                             */
                            sections_total: number;
                            /** @description From when on. */
                            start_time?: string | null;
                            /**
                             * @description `queued`: the records are hidden; `running`: they are being removed; `done`; `cancelled`;
                             *     `failed`: they are hidden and cannot be removed.
                             */
                            state: string;
                            /** @description Of which streams. */
                            streams: string[];
                            /** @description Whose records. */
                            tenant: string;
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such deletion */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    cancel_deletion: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the deletion */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The deletion as it is now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Records that are taken out for good. */
                        data: {
                            /** @description When it was made: from then on the records are hidden. */
                            created_at: string;
                            /** @description Until when. */
                            end_time?: string | null;
                            /** @description When it was done or cancelled. */
                            ended_at?: string | null;
                            /** @description Why it cannot go on. */
                            failure?: string | null;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            id: number;
                            /** @description Which of them; empty: all of the streams and times. */
                            query: string;
                            /** @description Why. */
                            reason: string;
                            /** @description Name of the account that asked for it. */
                            requested_by: string;
                            /**
                             * Format: int64
                             * @description Records that matched when it was made.
                             */
                            rows_matched: number;
                            /**
                             * Format: int64
                             * @description Records that were removed so far. Rules of retention may remove some of them before.
                             */
                            rows_removed: number;
                            /**
                             * Format: int64
                             * @description Those of them that hold none any more.
                             */
                            sections_done: number;
                            /**
                             * Format: int64
                             * @description Segment sections that could hold such records when it was made.
                             */
                            sections_total: number;
                            /** @description From when on. */
                            start_time?: string | null;
                            /**
                             * @description `queued`: the records are hidden; `running`: they are being removed; `done`; `cancelled`;
                             *     `failed`: they are hidden and cannot be removed.
                             */
                            state: string;
                            /** @description Of which streams. */
                            streams: string[];
                            /** @description Whose records. */
                            tenant: string;
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such deletion */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description It has ended */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The log cannot be written */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    facets_get: {
        parameters: {
            query: {
                /** @description `as_of` of another answer: count what it counted, with the same `now`. */
                as_of?: string;
                /** @description Latest time, included. */
                end_time?: string;
                /** @description Fields, 1 to 20; `stream` is one too. */
                fields: string[];
                /** @description Values of each, at most 1,000; default 10. */
                limit?: number;
                /** @description Query in the search language; empty: everything. */
                query?: string;
                /** @description Literal words beside the query. */
                search?: string;
                /** @description Earliest time. */
                start_time?: string;
                /** @description Streams, or prefixes with `*`. */
                streams?: string[];
                /** @description Zone of times without one. */
                timezone?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Values with their counts */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FacetsAnswer"];
                };
            };
            /** @description Query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    facets_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FacetsQuestion"];
            };
        };
        responses: {
            /** @description Values with their counts */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FacetsAnswer"];
                };
            };
            /** @description Body or query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    fields_get: {
        parameters: {
            query?: {
                /** @description `as_of` of another answer: count what it counted, with the same `now`. */
                as_of?: string;
                /** @description Latest time, included. */
                end_time?: string;
                /** @description Query in the search language; empty: everything. */
                query?: string;
                /** @description Literal words beside the query. */
                search?: string;
                /** @description Earliest time. */
                start_time?: string;
                /** @description Streams, or prefixes with `*`. */
                streams?: string[];
                /** @description Zone of times without one. */
                timezone?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fields by name */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FieldsAnswer"];
                };
            };
            /** @description Query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    fields_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FieldsQuestion"];
            };
        };
        responses: {
            /** @description Fields by name */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FieldsAnswer"];
                };
            };
            /** @description Body or query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    histogram_get: {
        parameters: {
            query?: {
                /** @description `as_of` of another answer: count what it counted, with the same `now`. */
                as_of?: string;
                /** @description Number of buckets for a readable width, at most 5,000; default 60. */
                buckets?: number;
                /** @description Field whose values split the counts. */
                by?: string;
                /** @description Latest time, included. */
                end_time?: string;
                /** @description Width of a bucket, such as `1m`. */
                interval?: string;
                /** @description Query in the search language; empty: everything. */
                query?: string;
                /** @description Literal words beside the query. */
                search?: string;
                /** @description Earliest time. */
                start_time?: string;
                /** @description Streams, or prefixes with `*`. */
                streams?: string[];
                /** @description Zone of times without one. */
                timezone?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Counts */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HistogramAnswer"];
                };
            };
            /** @description Query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    histogram_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["HistogramQuestion"];
            };
        };
        responses: {
            /** @description Counts */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HistogramAnswer"];
                };
            };
            /** @description Body or query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    ingest: {
        parameters: {
            query?: never;
            header?: {
                /** @description gzip, zstd, deflate or identity */
                "Content-Encoding"?: string | null;
                /** @description 1 to 255 bytes, unique for each batch */
                "Idempotency-Key"?: string | null;
            };
            path: {
                /** @description Name of the stream */
                stream: string;
            };
            cookie?: never;
        };
        /** @description Records, at most 64 MiB decompressed */
        requestBody: {
            content: {
                "application/x-ndjson": string;
            };
        };
        responses: {
            /** @description What was accepted, rejected and left out */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IngestAnswerBody"];
                };
            };
            /** @description A broken JSON array or compressed stream: nothing is stored */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The credential may not write to the stream */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream; the nearest names are listed */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The body stopped coming */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many bytes, as they came or decompressed */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Content type or encoding is not supported */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Every record was rejected, or the idempotency key is not valid or was used for another body */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too much of this tenant is in flight */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Overloaded, no space left, or not writable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    keys: {
        parameters: {
            query?: {
                /** @description Number of the account; for admins, without it all */
                account?: number;
                /** @description Keys with greater numbers (0) */
                after?: number;
                /** @description At most 1,000 (100) */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Keys by number */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description API keys. */
                        data: {
                            /** @description By number. */
                            keys: components["schemas"]["Key"][];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Keys of others, or no account */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    create_key: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateKey"];
            };
        };
        responses: {
            /** @description The key with its secret */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description A key just made. */
                        data: components["schemas"]["Key"] & {
                            /** @description Its secret, shown this once: `Authorization: Bearer <secret>`. */
                            secret: string;
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description For another account, or no account */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such account */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    key: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the key */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description An API key. */
                        data: {
                            /**
                             * Format: int64
                             * @description Account that it acts for.
                             */
                            account: number;
                            /** @description When it was made. */
                            created_at: string;
                            /** @description When it ends. */
                            expires_at?: string | null;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            id: number;
                            /** @description When it was last used, to within five minutes. */
                            last_used_at?: string | null;
                            /** @description Its name. */
                            name: string;
                            /** @description When it was revoked. */
                            revoked_at?: string | null;
                            /** @description What it may be used for. */
                            scope: components["schemas"]["ScopeEntry"];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such key */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    revoke_key: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the key */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoked */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such key */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    logs: {
        parameters: {
            query?: {
                /** @description `as_of` of another answer: count what it counted, with the same `now`. */
                as_of?: string;
                /** @description Cursor of the page before. */
                cursor?: string;
                /** @description Latest time, included. */
                end_time?: string;
                /** @description Level, exactly; several separated by commas. */
                level?: string;
                /** @description Records of the page, at most 1,000; default 100. */
                limit?: number;
                /** @description Module path (`logger`). */
                module?: string;
                /** @description Records to pass over. */
                offset?: number;
                /** @description Query in the search language. */
                q?: string;
                /** @description Literal words, all of them in any order; never a syntax error. */
                search?: string;
                /** @description Program. */
                source?: string;
                /** @description Earliest time. */
                start_time?: string;
                /** @description Zone of times without one. */
                timezone?: string;
                /** @description Trace. */
                trace_id?: string;
                /** @description Whose record. */
                user_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of records */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogsAnswer"];
                };
            };
            /** @description Query or cursor cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid, all of them */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    log: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the record */
                log_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The record */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogAnswer"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such record */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    instances: {
        parameters: {
            query?: {
                /** @description Instances with greater numbers (0) */
                after?: number;
                /** @description Deleted ones too, as long as their records can be read (false) */
                deleted?: boolean;
                /** @description At most 1,000 (100) */
                limit?: number;
                /** @description Only of this service */
                service?: string;
                /** @description active, inactive or expired */
                status?: string;
                /** @description Only of this owner */
                user_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Instances by number */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Instances. */
                        data: {
                            /** @description By number. */
                            instances: components["schemas"]["Mcp"][];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key that reads no instances */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    create_instance: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateMcp"];
            };
        };
        responses: {
            /** @description The instance */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description An MCP instance: a program that works for one user. */
                        data: {
                            /** @description When it was last changed. */
                            changed_at: string;
                            /** @description When it was made. */
                            created_at: string;
                            /** @description When it was deleted. */
                            deleted_at?: string | null;
                            /** @description Its id: the `instance_id` of its records. */
                            id: string;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            number: number;
                            /** @description Until when the records of a deleted one can be read. */
                            records_until?: string | null;
                            /** @description What it serves: the `source` of records that name none. */
                            service?: string | null;
                            /** @description `active`, `inactive` or `expired`; records of an active one are taken. */
                            status: string;
                            /** @description Its tenant. */
                            tenant: string;
                            /** @description Its owner: the `user_id` of its records. */
                            user_id: string;
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key of a limited scope */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The id is taken, perhaps by a deleted instance whose records are still there */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    instance: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                instanceId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The instance */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description An MCP instance: a program that works for one user. */
                        data: {
                            /** @description When it was last changed. */
                            changed_at: string;
                            /** @description When it was made. */
                            created_at: string;
                            /** @description When it was deleted. */
                            deleted_at?: string | null;
                            /** @description Its id: the `instance_id` of its records. */
                            id: string;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            number: number;
                            /** @description Until when the records of a deleted one can be read. */
                            records_until?: string | null;
                            /** @description What it serves: the `source` of records that name none. */
                            service?: string | null;
                            /** @description `active`, `inactive` or `expired`; records of an active one are taken. */
                            status: string;
                            /** @description Its tenant. */
                            tenant: string;
                            /** @description Its owner: the `user_id` of its records. */
                            user_id: string;
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key that reads no instances */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such instance */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    delete_instance: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                instanceId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted, perhaps before */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key of a limited scope */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such instance */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    change_instance: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                instanceId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangeMcp"];
            };
        };
        responses: {
            /** @description The instance as it is now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description An MCP instance: a program that works for one user. */
                        data: {
                            /** @description When it was last changed. */
                            changed_at: string;
                            /** @description When it was made. */
                            created_at: string;
                            /** @description When it was deleted. */
                            deleted_at?: string | null;
                            /** @description Its id: the `instance_id` of its records. */
                            id: string;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            number: number;
                            /** @description Until when the records of a deleted one can be read. */
                            records_until?: string | null;
                            /** @description What it serves: the `source` of records that name none. */
                            service?: string | null;
                            /** @description `active`, `inactive` or `expired`; records of an active one are taken. */
                            status: string;
                            /** @description Its tenant. */
                            tenant: string;
                            /** @description Its owner: the `user_id` of its records. */
                            user_id: string;
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key of a limited scope */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such instance */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description It is deleted */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    instance_keys: {
        parameters: {
            query?: {
                /** @description Keys with greater numbers (0) */
                after?: number;
                /** @description At most 1,000 (100) */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description Id of the instance */
                instanceId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Keys by number */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Keys of an instance. */
                        data: {
                            /** @description By number. */
                            keys: components["schemas"]["Key"][];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key of a limited scope */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such instance */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    create_instance_key: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                instanceId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateMcpKey"];
            };
        };
        responses: {
            /** @description The key with its secret */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description A key just made. */
                        data: components["schemas"]["Key"] & {
                            /** @description Its secret, shown this once: `Authorization: Bearer <secret>`. */
                            secret: string;
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key of a limited scope, for another account, or no account */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such instance or account */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The instance is deleted */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    instance_logs: {
        parameters: {
            query?: {
                /** @description `as_of` of another answer: count what it counted, with the same `now`. */
                as_of?: string;
                /** @description Cursor of the page before. */
                cursor?: string;
                /** @description Latest time, included. */
                end_time?: string;
                /** @description `json` (default), `csv` or `txt`. */
                format?: string;
                /** @description `debug`, `info`, `warn` or `error`; several separated by commas. */
                level?: string;
                /** @description Records of the page, at most 1,000; default 100. */
                limit?: number;
                /** @description Records to pass over. */
                offset?: number;
                /** @description Query in the search language. */
                q?: string;
                /** @description Literal words, all of them in any order; never a syntax error. */
                search?: string;
                /** @description Earliest time. */
                start_time?: string;
                /** @description Zone of times without one. */
                timezone?: string;
            };
            header?: never;
            path: {
                /** @description Id of the instance */
                instanceId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of records */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["McpLogsAnswer"];
                    "text/csv": string;
                    "text/plain": string;
                };
            };
            /** @description Query or cursor cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A key that reads no instances */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such instance */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid, all of them */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    openapi_json: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    search_get: {
        parameters: {
            query?: {
                /** @description `as_of` of another answer: count what it counted, with the same `now`. */
                as_of?: string;
                /** @description Whether the exact total is wanted, which takes a scan of everything that is asked for. */
                count?: boolean;
                /** @description Cursor of the page before. */
                cursor?: string;
                /** @description Latest time, included. */
                end_time?: string;
                /** @description Fields to return, in this order; default all. */
                fields?: string[];
                /** @description Records of the page, at most 10,000; 0 only counts; default 100. */
                limit?: number;
                /** @description Records to pass over, at most 1,000,000; a cursor is faster. */
                offset?: number;
                /** @description `desc` (latest first), `asc`, or `arrival`. */
                order?: string;
                /** @description Texts are cut to so many bytes, 16 to 65,536, and `_cut` of a record gives the whole lengths of those that were; default whole. */
                preview_bytes?: number;
                /** @description Query in the search language; empty: everything. */
                query?: string;
                /** @description Literal words beside the query, all of them in any order. */
                search?: string;
                /** @description Earliest time: RFC 3339, `now-1h`, `2026-01-04 14:00`, epoch; default: everything. */
                start_time?: string;
                /** @description Streams, or prefixes with `*`; default: all that may be read but the product's own events. */
                streams?: string[];
                /** @description Zone of times without one, such as `Europe/Berlin`; default UTC. */
                timezone?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of records */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SearchAnswer"];
                };
            };
            /** @description Query or cursor cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid, all of them */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many queries */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    search_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SearchQuestion"];
            };
        };
        responses: {
            /** @description A page of records */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SearchAnswer"];
                };
            };
            /** @description Body, query or cursor cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid, all of them */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many queries */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    sessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Sessions of the account that have not ended */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Sessions of an account. */
                        data: {
                            /** @description Those that have not ended. */
                            sessions: components["schemas"]["SessionEntry"][];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The credential has no account */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Login"];
            };
        };
        responses: {
            /** @description Logged in */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Who one is. */
                        data: {
                            /**
                             * Format: int64
                             * @description Number of the account; `null` for the bootstrap key.
                             */
                            account?: number | null;
                            /** @description Header that a script without browser sends with changes under a cookie. */
                            change_header: string;
                            /** @description Whether it may administer. */
                            may_administer: boolean;
                            /** @description Whether it may change its password and make keys. */
                            may_manage_own_account: boolean;
                            /** @description Login name. */
                            name: string;
                            /** @description User ids whose records are the account's own. */
                            own_user_ids: string[];
                            /** @description `admin` or `user`. */
                            role: string;
                            /** @description What the credential may be used for. */
                            scope: components["schemas"]["ScopeEntry"];
                            session?: components["schemas"]["SessionEntry"] | null;
                            /** @description Tenants; the first is written to. */
                            tenants: string[];
                        };
                    };
                };
            };
            /** @description Wrong name or password */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A request of another website */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many failed logins */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    revoke: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the session */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ended */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such session of the account */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    current: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The account and its rights */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Who one is. */
                        data: {
                            /**
                             * Format: int64
                             * @description Number of the account; `null` for the bootstrap key.
                             */
                            account?: number | null;
                            /** @description Header that a script without browser sends with changes under a cookie. */
                            change_header: string;
                            /** @description Whether it may administer. */
                            may_administer: boolean;
                            /** @description Whether it may change its password and make keys. */
                            may_manage_own_account: boolean;
                            /** @description Login name. */
                            name: string;
                            /** @description User ids whose records are the account's own. */
                            own_user_ids: string[];
                            /** @description `admin` or `user`. */
                            role: string;
                            /** @description What the credential may be used for. */
                            scope: components["schemas"]["ScopeEntry"];
                            session?: components["schemas"]["SessionEntry"] | null;
                            /** @description Tenants; the first is written to. */
                            tenants: string[];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Logged out */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The credential is no session */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    streams: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Streams by name */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description The streams of the caller. */
                        data: {
                            /** @description By name. */
                            streams: components["schemas"]["StreamEntry"][];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    tail_sse: {
        parameters: {
            query?: {
                /** @description Latest records to begin with, at most 10,000; default 0. */
                backlog?: number;
                /** @description Cursor of the connection before: go on after it, without backlog. */
                cursor?: string;
                /** @description Fields to return, in this order; default all. */
                fields?: string[];
                /** @description Texts are cut to so many bytes, 16 to 65,536, and `_cut` of a record gives the whole lengths of those that were; default whole. */
                preview_bytes?: number;
                /** @description Query in the search language; empty: everything. */
                query?: string;
                /** @description Literal words beside the query. */
                search?: string;
                /** @description Streams, or prefixes with `*`. */
                streams?: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description Query or cursor cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many tails */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    users: {
        parameters: {
            query?: {
                /** @description Accounts with greater numbers (0) */
                after?: number;
                /** @description At most 1,000 (100) */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accounts by number */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Accounts. */
                        data: {
                            /** @description By number. */
                            users: components["schemas"]["User"][];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    create_user: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateUser"];
            };
        };
        responses: {
            /** @description The account */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description An account. */
                        data: {
                            /** @description When it was made. */
                            created_at: string;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            id: number;
                            /** @description Whether it may not log in. */
                            is_disabled: boolean;
                            /** @description Login name. */
                            name: string;
                            /** @description User ids whose records are its own. */
                            own_user_ids: string[];
                            /** @description `admin` or `user`. */
                            role: string;
                            /** @description Tenants; the first is written to. */
                            tenants: string[];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The name is taken */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    user: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the account */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The account */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description An account. */
                        data: {
                            /** @description When it was made. */
                            created_at: string;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            id: number;
                            /** @description Whether it may not log in. */
                            is_disabled: boolean;
                            /** @description Login name. */
                            name: string;
                            /** @description User ids whose records are its own. */
                            own_user_ids: string[];
                            /** @description `admin` or `user`. */
                            role: string;
                            /** @description Tenants; the first is written to. */
                            tenants: string[];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such account */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    delete_user: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the account */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such account */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description It is the last enabled admin */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    change_user: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Number of the account */
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangeUser"];
            };
        };
        responses: {
            /** @description The account as it is now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description An account. */
                        data: {
                            /** @description When it was made. */
                            created_at: string;
                            /**
                             * Format: int64
                             * @description Its number.
                             */
                            id: number;
                            /** @description Whether it may not log in. */
                            is_disabled: boolean;
                            /** @description Login name. */
                            name: string;
                            /** @description User ids whose records are its own. */
                            own_user_ids: string[];
                            /** @description `admin` or `user`. */
                            role: string;
                            /** @description Tenants; the first is written to. */
                            tenants: string[];
                        };
                    };
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such account */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description It is the last enabled admin */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    change_own_password: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OwnPassword"];
            };
        };
        responses: {
            /** @description Changed */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No accepted credential, or the old password is wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description The credential has no account */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many failures */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    healthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Healthy */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not healthy */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    livez: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Alive */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Measures */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No admin */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ready */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not ready */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    tail_socket: {
        parameters: {
            query?: {
                /** @description Latest records to begin with, at most 10,000; default 0. */
                backlog?: number;
                /** @description Cursor of the connection before: go on after it, without backlog. */
                cursor?: string;
                /** @description Fields to return, in this order; default all. */
                fields?: string[];
                /** @description Texts are cut to so many bytes, 16 to 65,536, and `_cut` of a record gives the whole lengths of those that were; default whole. */
                preview_bytes?: number;
                /** @description Query in the search language; empty: everything. */
                query?: string;
                /** @description Literal words beside the query. */
                search?: string;
                /** @description Streams, or prefixes with `*`. */
                streams?: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Upgraded */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No WebSocket handshake, or the query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A page of another website */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such stream */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many tails */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    instance_socket: {
        parameters: {
            query?: {
                /** @description Latest records to begin with, at most 10,000; default 0. */
                backlog?: number;
                /** @description Cursor of the connection before: go on after it, without backlog. */
                cursor?: string;
                /** @description `debug`, `info`, `warn` or `error`; several separated by commas. */
                level?: string;
                /** @description Query in the search language. */
                q?: string;
                /** @description Literal words, all of them in any order. */
                search?: string;
            };
            header?: never;
            path: {
                /** @description Id of the instance */
                instanceId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Upgraded */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No WebSocket handshake, or the query cannot be read */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No accepted credential */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description A page of another website, or a key that reads no instances */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description No such instance */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Values that are not valid */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
            /** @description Too many tails */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
}
