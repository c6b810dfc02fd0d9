// Written by `npm run api` from openapi.json; do not edit.

export interface paths {
    "/console/api/about": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * About
         * @description What the console shows.
         */
        get: operations["about"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/budgets/ledgers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Ledgers
         * @description Every ledger: its budget, what today has left, its refusals, and what is wrong with it.
         */
        get: operations["listLedgers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/budgets/ledgers/{owner}/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check
         * @description Read and check every entry of a ledger, as `covey ledger verify` does.
         */
        get: operations["checkLedger"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/budgets/ledgers/{owner}/days": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Days
         * @description The charged days of a ledger, or the newest of them.
         */
        get: operations["listLedgerDays"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/budgets/ledgers/{owner}/outlook": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Outlook
         * @description How long the budget of a ledger lasts.
         */
        get: operations["readLedgerOutlook"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/budgets/ledgers/{owner}/refusals": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Refusals
         * @description What a ledger has refused, and why.
         */
        get: operations["listRefusals"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/budgets/views": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Views
         * @description The registered views, with their prices.
         */
        get: operations["listPricedViews"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/budgets/what-if": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Collect Every Day
         * @description What views would cost if they were collected every day. Nothing is charged.
         */
        post: operations["whatIf"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/compare": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Compare Views
         * @description Two texts, line by line.
         */
        post: operations["compareViews"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/condition": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Check Condition
         * @description Whether a text is a condition, and what may stand at the caret.
         */
        post: operations["checkCondition"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/explain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Explain Views
         * @description The price of each view, and its expected errors. Nothing is collected.
         */
        post: operations["explainViews"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/file": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get Views File
         * @description The views file of the console, and its graph.
         */
        get: operations["getViewsFile"];
        /**
         * Save Views File
         * @description Replace the views file, if it still is the one that the text is based on.
         */
        put: operations["saveViewsFile"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/palette": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get Palette
         * @description Every type of node, with its fields.
         */
        get: operations["getPalette"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/parse": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Parse Views
         * @description A text as a graph. Nothing is executed.
         */
        post: operations["parseViews"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/prices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Prices
         * @description The views of a text, with their prices.
         */
        post: operations["listPricesOfText"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/render": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Render Views
         * @description A text with the edits of its graph.
         */
        post: operations["renderViews"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get Runs
         * @description The runs that this console has started.
         */
        get: operations["getRuns"];
        put?: never;
        /**
         * Start Run
         * @description Collect: charge the days, add noise, and publish the releases into the console's store.
         */
        post: operations["startRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/runs/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Preview Run
         * @description What a run would collect, and what it would cost. Nothing is charged.
         */
        post: operations["previewRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/runs/{run_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get Run
         * @description One run.
         */
        get: operations["getRun"];
        put?: never;
        post?: never;
        /**
         * Cancel Run
         * @description Interrupt a run. What it has published stays, and a repeated run continues.
         */
        delete: operations["cancelRun"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/runs/{run_id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow Run
         * @description The events of a run as they come: `progress`, then `done`, `failed` or `cancelled`.
         */
        get: operations["followRun"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/sources": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get Sources
         * @description The columns of the console's events, and of the sites in the project's folder.
         */
        get: operations["getSources"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/composer/what-if": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Collect Every Day
         * @description What views of a text would cost if they were collected every day.
         */
        post: operations["whatIfOfText"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List All
         * @description Views, on-demand views and services.
         */
        get: operations["listFeatures"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/look": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Look At Moment
         * @description What labels at a moment see: the values that were released by then.
         */
        post: operations["lookAtMoment"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/needed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Needed Columns
         * @description The join keys and inputs that references need.
         */
        post: operations["neededColumns"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/{view}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read View
         * @description One view, or `view@v<n>`.
         */
        get: operations["readView"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/{view}/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export Rows
         * @description The rows of a view, or of some of its keys, as a file. Texts that a spreadsheet would run are quoted in CSV.
         */
        get: operations["exportRows"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/{view}/heat": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read Heat Map
         * @description One feature of many keys over time.
         */
        get: operations["readHeatMap"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/{view}/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Find Keys
         * @description Keys whose text begins with a text, then those that contain it.
         */
        get: operations["findKeys"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/{view}/series": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read Series
         * @description One feature of some keys over time, with 95 % intervals and statuses.
         */
        get: operations["readSeries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/features/{view}/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read Usage
         * @description Commands and Python that read the same values.
         */
        get: operations["readUsage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/fleet": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * State
         * @description Sites, panes, the plan under way, roles and the newest panes.
         */
        get: operations["readFleet"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/fleet/coverage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read Coverage
         * @description Which sites are in the newest panes of a view.
         */
        get: operations["readCoverage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/fleet/drift": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check Drift
         * @description Whether the newest panes of each view differ from their own past. It costs no budget.
         */
        get: operations["checkDrift"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/fleet/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow
         * @description The same parts as events, when they change.
         */
        get: operations["followFleet"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/lab/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Report
         * @description The report of a run, a sweep or a set: one page, without rights of the console.
         */
        get: operations["readLabReport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/lab/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List Runs
         * @description All runs with their settings and results.
         */
        get: operations["listLabRuns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/lineage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lineage
         * @description Where values come from and go to.
         */
        get: operations["showLineage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List All
         * @description All models with their versions.
         */
        get: operations["listModels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/models/statistics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Statistics
         * @description What the running server of models has done.
         */
        get: operations["readServingStatistics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/models/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Delete
         * @description Delete one version, or all.
         */
        delete: operations["deleteModel"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/models/{name}/deletion": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Preview Deletion
         * @description What a deletion of one version, or of all, would take away.
         */
        get: operations["previewDeletion"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/models/{name}/promotion": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Preview Promotion
         * @description What a promotion would change.
         */
        get: operations["previewPromotion"];
        put?: never;
        /**
         * Promote Versions
         * @description Put versions in force.
         */
        post: operations["promoteModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/models/{name}/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Preview Rollback
         * @description What a rollback would bring back.
         */
        get: operations["previewRollback"];
        put?: never;
        /**
         * Roll Back Versions
         * @description Bring back what was in force before.
         */
        post: operations["rollBackModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/releases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Releases
         * @description A page of all published panes, or of those with first ≤ pane_start < end and the other conditions.
         */
        get: operations["listReleases"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/releases/counts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Counts
         * @description How many panes each view has.
         */
        get: operations["countReleases"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/releases/{release_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Release
         * @description The terms of one release.
         */
        get: operations["showRelease"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/releases/{release_id}/retraction": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Preview
         * @description What a retraction would do.
         */
        get: operations["previewRetraction"];
        put?: never;
        /**
         * Retraction
         * @description Publish the tombstone of a release.
         */
        post: operations["retractRelease"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/releases/{release_id}/verification": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Verification
         * @description Verify the release, as `covey release verify` does.
         */
        get: operations["verifyRelease"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Open Session
         * @description Open a session, or continue that of the cookie.
         */
        post: operations["openSession"];
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
        /**
         * About
         * @description What the console shows, and what it has beside the store.
         */
        About: {
            /** Directory */
            directory: string;
            /** Has Lab */
            has_lab: boolean;
            /** Has Project */
            has_project: boolean;
            /** Has Serving */
            has_serving: boolean;
            /** Has Source */
            has_source: boolean;
            /** Has Views */
            has_views: boolean;
            /**
             * Role
             * @enum {string}
             */
            role: "reader" | "author" | "operator";
            /** Trust Views */
            trust_views: boolean;
            /** Version */
            version: string;
        };
        /**
         * Arrival
         * @description A pane that was published, and how long after its end it came.
         */
        Arrival: {
            /** Late S */
            late_s: number;
            /** Pane End */
            pane_end: number;
            /** Pane Start */
            pane_start: number;
            /** Published */
            published: number;
            /** Reason */
            reason: string | null;
            /** Seq */
            seq: number;
            /** State */
            state: string;
            /** Version */
            version: number;
            /** View */
            view: string;
        };
        /**
         * ArrivalsPart
         * @description The panes that were published last, the newest first.
         */
        ArrivalsPart: {
            /**
             * Panes
             * @default []
             */
            panes: components["schemas"]["Arrival"][];
            /** Problem */
            problem: string | null;
        };
        /**
         * Bucket
         * @description Times above `from_ms`, and up to `to_ms`; None: without an upper end.
         */
        Bucket: {
            /** From Ms */
            from_ms: number;
            /** To Ms */
            to_ms: number | null;
        };
        /**
         * BudgetFit
         * @description Whether the budget of one ledger pays for a day, and so for every day.
         */
        BudgetFit: {
            /** Budget Micro Rho */
            budget_micro_rho: number;
            counts: components["schemas"]["Observer"];
            /** Fits */
            fits: boolean;
            /** Left */
            left: number;
            /** Micro Rho */
            micro_rho: number;
            /** Over Quota */
            over_quota: components["schemas"]["OverQuota"][];
            /** Owner */
            owner: string;
        };
        /**
         * ChosenView
         * @description A view to collect every day; null: as it is defined.
         */
        ChosenView: {
            /** Epsilon */
            epsilon?: number | null;
            /** Pane */
            pane?: ("5s" | "15s" | "1m" | "5m" | "15m" | "1h" | "1d") | null;
            /** Rho */
            rho?: number | null;
            /** View */
            view: string;
        };
        /**
         * CodeField
         * @description An expression that the page shows as text.
         */
        CodeField: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            kind: "code";
            /** Text */
            text: string;
        };
        /**
         * CollectionRun
         * @description A run that this console has started. Times are ISO 8601.
         *
         *     Attributes:
         *         result, services: of a run that is done.
         */
        CollectionRun: {
            /** Command */
            command: string;
            /** Ended At */
            ended_at: string | null;
            failure: components["schemas"]["Failure"] | null;
            /** Id */
            id: string;
            /** Progress */
            progress: components["schemas"]["RunProgress"][];
            /** Result */
            result: components["schemas"]["ViewResult"][] | null;
            services: components["schemas"]["ServicesResult"] | null;
            /** Started At */
            started_at: string;
            /**
             * Status
             * @enum {string}
             */
            status: "running" | "done" | "failed" | "cancelled";
            /** Views */
            views: string[];
        };
        /**
         * CollectionRuns
         * @description The runs of this console, the newest first. `why_not`: why it cannot start one; empty: it can.
         */
        CollectionRuns: {
            /** Runs */
            runs: components["schemas"]["CollectionRun"][];
            /** Why Not */
            why_not: string;
        };
        /**
         * CompareBody
         * @description Two texts.
         */
        CompareBody: {
            /** After */
            after: string;
            /** Before */
            before: string;
        };
        /**
         * Comparison
         * @description Every line of two texts.
         */
        Comparison: {
            /** Diff */
            diff: components["schemas"]["DiffLine"][];
        };
        /**
         * Condition
         * @description What is known of a `where`. Places are units of UTF-16.
         *
         *     Attributes:
         *         message: why it is no condition; empty: it is one.
         *         first, last: the characters [first, last) that the message is about.
         *         warning: what is odd about a condition: a column that the source does not have, or has with another type.
         *         replace_first, replace_last: the begun word that an option replaces.
         */
        Condition: {
            /** First */
            first: number;
            /** Last */
            last: number;
            /** Message */
            message: string;
            /** Options */
            options: components["schemas"]["ConditionOption"][];
            /** Replace First */
            replace_first: number;
            /** Replace Last */
            replace_last: number;
            /** Valid */
            valid: boolean;
            /** Warning */
            warning: string;
        };
        /**
         * ConditionBody
         * @description A `where`, and the place of the caret in it, in units of UTF-16 as browsers count.
         */
        ConditionBody: {
            /** Columns */
            columns: components["schemas"]["ConditionColumn"][];
            /** Position */
            position: number;
            /** Where */
            where: string;
        };
        /**
         * ConditionColumn
         * @description A column of the source; `other` and `time` are types that no condition takes.
         */
        ConditionColumn: {
            /** Name */
            name: string;
            /**
             * Type
             * @enum {string}
             */
            type: "number" | "text" | "boolean" | "time" | "other";
        };
        /**
         * ConditionOption
         * @description What may stand at the place. `hint`: the type of a column.
         */
        ConditionOption: {
            /** Hint */
            hint: string;
            /**
             * Part
             * @enum {string}
             */
            part: "column" | "operator" | "literal" | "junction";
            /** Text */
            text: string;
        };
        /**
         * CostExplanation
         * @description The cost of a client-day as a ledger charges it, and as ε at δ of 1, 7 and 30 days.
         *
         *     Attributes:
         *         micro_rho: against an aggregator, which budgets count. `outsiders_micro_rho`: against outsiders.
         */
        CostExplanation: {
            /** Delta */
            delta: number;
            /** Epsilon */
            epsilon: components["schemas"]["EpsilonClaim"][];
            /** Micro Rho */
            micro_rho: number;
            /** Outsiders Micro Rho */
            outsiders_micro_rho: number;
        };
        /**
         * Coverage
         * @description Which sites are in the newest panes of a view, the oldest first. `panes`: how many panes the view has in all.
         */
        Coverage: {
            /** Panes */
            panes: number;
            /** Shown */
            shown: components["schemas"]["PaneCoverage"][];
            /** Sites */
            sites: string[];
            /** View */
            view: string;
        };
        /**
         * Credentials
         * @description The token of the URL that the console printed, an API key, or neither: the page's cookie, or a reader without keys.
         */
        Credentials: {
            /** Key */
            key?: string | null;
            /** Token */
            token?: string | null;
        };
        /**
         * DamagedRun
         * @description A record that cannot be read.
         */
        DamagedRun: {
            /** Folder */
            folder: string;
            /** Why */
            why: string;
        };
        /**
         * DaysEpsilon
         * @description ε at a δ of a client that takes part on each of some days. `pure`: without δ; null unless all noise is Laplace noise.
         */
        DaysEpsilon: {
            /** Aggregator */
            aggregator: number;
            /** Days */
            days: number;
            /** Outsiders */
            outsiders: number;
            /** Pure */
            pure: number | null;
        };
        /**
         * Deletion
         * @description The versions that a deletion takes away, as `name@v1`, and the command that does it.
         */
        Deletion: {
            /** Command */
            command: string;
            /** Versions */
            versions: string[];
        };
        /**
         * DiffLine
         * @description A line of a comparison, without its end.
         */
        DiffLine: {
            /**
             * Kind
             * @enum {string}
             */
            kind: "same" | "added" | "removed";
            /** Text */
            text: string;
        };
        /**
         * Drift
         * @description The checks of all views, and the command that makes them.
         */
        Drift: {
            /** Command */
            command: string;
            /** Views */
            views: components["schemas"]["DriftOfView"][];
        };
        /**
         * DriftChange
         * @description A feature that differs from its own past. `key` None: all keys together.
         */
        DriftChange: {
            /** Feature */
            feature: string;
            /** High */
            high: number | null;
            /** Key */
            key: string[] | null;
            /** Low */
            low: number | null;
            /** P */
            p: number | null;
            /** Since */
            since: number;
            /** Size */
            size: number | null;
            /** Usual */
            usual: number | null;
        };
        /**
         * DriftOfView
         * @description What a check of a view says. `why`: why it was not checked; None: it was.
         */
        DriftOfView: {
            /** Changes */
            changes: components["schemas"]["DriftChange"][];
            /** Drifts */
            drifts: boolean;
            /** False Alarms A Year */
            false_alarms_a_year: number | null;
            /** Level */
            level: number;
            /** Newest */
            newest: number[];
            /** P */
            p: number | null;
            /** Past */
            past: number;
            /** Power */
            power: components["schemas"]["DriftPower"][];
            /** Series */
            series: number;
            /** View */
            view: string;
            /** Why */
            why: string | null;
        };
        /**
         * DriftPower
         * @description The smallest shifts that the check finds with 80 %.
         */
        DriftPower: {
            /** Absent */
            absent: number;
            /** Every */
            every: number | null;
            /** Feature */
            feature: string;
            /** Hidden */
            hidden: number;
            /** Keys */
            keys: number;
            /** One */
            one: number | null;
        };
        /**
         * Emission
         * @description What was sent to a collector of OpenLineage events. `problem`: why the last attempt failed; null: it did not.
         */
        Emission: {
            /** Problem */
            problem: string | null;
            /** Sent */
            sent: number;
            /** Url */
            url: string;
        };
        /**
         * EncryptedCost
         * @description A report under `protection="he"`, in a run with at most `clients` clients.
         *
         *     Attributes:
         *         ciphertexts: the number of ciphertexts of a report, with `degree` slots each.
         *         leak_micro_rho: the cost of a client-day beyond the view's price.
         *         why_not: the reason why the view cannot be encrypted; then all numbers except `clients` are 0.
         */
        EncryptedCost: {
            /**
             * Ciphertexts
             * @default 0
             */
            ciphertexts?: number;
            /** Clients */
            clients: number;
            /**
             * Degree
             * @default 0
             */
            degree?: number;
            /**
             * Leak Micro Rho
             * @default 0
             */
            leak_micro_rho?: number;
            /**
             * Report Bytes Leader
             * @default 0
             */
            report_bytes_leader?: number;
            /** Why Not */
            why_not?: string | null;
        };
        /**
         * EndedPlan
         * @description The plan that ended last.
         *
         *     `announced`: the sites were asked for reports, else only what they would answer. `answers`: how many sites answered,
         *     refused, were absent, lost.
         */
        EndedPlan: {
            /** Announced */
            announced: boolean;
            /** Answers */
            answers: {
                [key: string]: number;
            };
            /** At */
            at: number;
            /** Views */
            views: string[];
        };
        /**
         * EpsilonClaim
         * @description ε at δ of a client that takes part on each of some days.
         *
         *     Attributes:
         *         outsiders: against those who see releases, if both aggregators are honest.
         *         aggregator: against a curious or cheating aggregator, and against everybody if one of the two cheats.
         *         pure: ε without δ against all of them, if all noise is Laplace; else None.
         */
        EpsilonClaim: {
            /** Aggregator */
            aggregator: number;
            /** Days */
            days: number;
            /** Outsiders */
            outsiders: number;
            /** Pure */
            pure: number | null;
        };
        /**
         * ExpectedError
         * @description The effect of noise on one feature of one pane with n clients.
         *
         *     Attributes:
         *         value: without noise, of the events that `explain` assumes; of a histogram, of each cell. None where it would be null.
         *         se: standard error due to noise; None where the value would be null.
         *         drowned: the value would be null, or is a count below three standard errors.
         */
        ExpectedError: {
            /** Clients */
            clients: number;
            /** Drowned */
            drowned: boolean;
            /** Se */
            se: number | null;
            /** Value */
            value: number | null;
        };
        /**
         * ExplainBody
         * @description A text of a views file.
         *
         *     Attributes:
         *         clients: of one join key and pane, each with one event.
         */
        ExplainBody: {
            /** Clients */
            clients: number[];
            /** Text */
            text: string;
        };
        /**
         * Failure
         * @description Why something cannot be used, or has failed, and the mend.
         */
        Failure: {
            /** Code */
            code: string;
            /** Detail */
            detail: string;
            /** Mend */
            mend: string;
        };
        /**
         * FeatureExplanation
         * @description One feature: its slots, and its expected errors.
         *
         *     Attributes:
         *         derived_from: the histogram that the feature is derived from.
         *         enough_clients: about the least number of clients of a key and pane at which noise does not drown the feature; None
         *             above 990 million.
         *         other_way: the errors of the alternative, if there is one: own slots instead of a histogram, or the reverse.
         */
        FeatureExplanation: {
            /** Derived From */
            derived_from: string | null;
            /** Enough Clients */
            enough_clients: number | null;
            /** Expected */
            expected: components["schemas"]["ExpectedError"][];
            /** Feature */
            feature: string;
            /** Kind */
            kind: string;
            /** Other Way */
            other_way: components["schemas"]["ExpectedError"][] | null;
            /** Slots Per Key */
            slots_per_key: number;
        };
        /**
         * FeatureForm
         * @description One column that a view serves.
         *
         *     Attributes:
         *         feature: of the view; `name` also has the window or the part.
         *         shape: count: a whole number; ratio: a number with n; list: the cells of a histogram; estimate: a filtered value.
         *         cells: the label of each cell of a list, else empty.
         */
        FeatureForm: {
            /** Cells */
            cells: string[];
            /** Description */
            description: string;
            /** Feature */
            feature: string;
            /** Kind */
            kind: string;
            /** Name */
            name: string;
            /**
             * Shape
             * @enum {string}
             */
            shape: "count" | "ratio" | "list" | "estimate";
            /** Window */
            window: string | null;
        };
        /**
         * FeatureList
         * @description All that can be read from the store.
         */
        FeatureList: {
            /** Now */
            now: number;
            /** On Demand */
            on_demand: components["schemas"]["OnDemandForm"][];
            /** Services */
            services: components["schemas"]["ServiceForm"][];
            /** Views */
            views: components["schemas"]["ViewForm"][];
        };
        /**
         * FieldType
         * @description A field of a node.
         *
         *     Attributes:
         *         required: a part without it is invalid.
         *         default: the value of a field that is not written; None also where there is none.
         *         choices: the values of a closed choice, or else none.
         */
        FieldType: {
            /**
             * Choices
             * @default []
             */
            choices?: string[];
            /** Default */
            default: unknown;
            /**
             * Editor
             * @enum {string}
             */
            editor: "text" | "description" | "number" | "integer" | "boolean" | "choice" | "duration" | "durations" | "column" | "columns" | "condition" | "interval" | "numbers" | "domain" | "key" | "texts" | "references" | "tags" | "arguments" | "code";
            /** Help */
            help: string;
            /** Name */
            name: string;
            /** Required */
            required: boolean;
        };
        /**
         * FilteredExplanation
         * @description The features that are filtered from a Rate: they have no slots and no price.
         *
         *     Attributes:
         *         se: the errors that their standard errors cover.
         */
        FilteredExplanation: {
            /** Features */
            features: string[];
            /** Half Life */
            half_life: string;
            /** Rate */
            rate: string;
            /** Sd */
            sd: number;
            /** Se */
            se: string;
            /** Season */
            season: string | null;
            /** Tz */
            tz: string;
        };
        /**
         * FleetState
         * @description Everything about a fleet. `project` None: the directory has a store, and no project.
         */
        FleetState: {
            arrivals: components["schemas"]["ArrivalsPart"];
            /** Collect Command */
            collect_command: string;
            /** Directory */
            directory: string;
            panes: components["schemas"]["PanesPart"];
            plan: components["schemas"]["PlanPart"];
            /** Project */
            project: string | null;
            roles: components["schemas"]["RolesPart"];
            sites: components["schemas"]["SitesPart"];
        };
        /**
         * FoundKeys
         * @description Keys whose text begins with what was asked, then those that contain it; `more`: there are others.
         */
        FoundKeys: {
            /** Keys */
            keys: string[];
            /** More */
            more: boolean;
            /** Total */
            total: number;
        };
        /**
         * Gap
         * @description Panes one after the other that were not opened, or were retracted, for one reason; `release` is of the first.
         */
        Gap: {
            /** End */
            end: number;
            /** Panes */
            panes: number;
            /** Reason */
            reason: string;
            /** Release */
            release: string;
            /** Start */
            start: number;
            /**
             * State
             * @enum {string}
             */
            state: "void" | "retracted";
        };
        /**
         * Graph
         * @description A views file as a graph.
         */
        Graph: {
            /** Nodes */
            nodes: components["schemas"]["GraphNode"][];
        };
        /**
         * GraphNode
         * @description A part of a views file; see `deployment.view_source.graph.Node`.
         */
        GraphNode: {
            /** Fields */
            fields: {
                [key: string]: components["schemas"]["LiteralField"] | components["schemas"]["CodeField"];
            };
            /** Id */
            id: string;
            /**
             * Kind
             * @enum {string}
             */
            kind: "view" | "entity" | "feature" | "bounds" | "privacy" | "on_demand" | "service" | "code";
            /** Lines */
            lines: [
                number,
                number
            ];
            /** Links */
            links: {
                [key: string]: string[];
            };
            /** Name */
            name: string;
            /** Type */
            type: string;
        };
        /**
         * GraphProblem
         * @description What is wrong with a node or one of its fields; of the whole file if `node` is empty. `line` 0: unknown.
         */
        GraphProblem: {
            /** Field */
            field: string;
            /** Line */
            line: number;
            /** Message */
            message: string;
            /** Node */
            node: string;
        };
        /**
         * GroupExplanation
         * @description One noise group.
         *
         *     Attributes:
         *         sensitivity: Δ₂ (Gaussian) or Δ₁ (Laplace) of a client-day.
         *         scale: σ or b of one aggregator's noise.
         *         opened_se: standard error of an opened sum, with the noise of both aggregators.
         */
        GroupExplanation: {
            /** Bits */
            bits: number;
            /** Delta1 */
            delta1: number;
            /** Delta2 Sq */
            delta2_sq: number;
            /** Feature */
            feature: string;
            /** Group */
            group: string;
            /** Micro Epsilon */
            micro_epsilon: number;
            /** Micro Rho */
            micro_rho: number;
            /** Opened Se */
            opened_se: number;
            /** Scale */
            scale: number;
            /** Sensitivity */
            sensitivity: number;
            /** Slots Per Key */
            slots_per_key: number;
        };
        /**
         * HeatMap
         * @description One feature of many keys: numbers in rows of keys, each with a column for each pane; rounded to 7 digits.
         *
         *     Attributes:
         *         first: the place of the first key here in the domain, which has `total` keys.
         */
        HeatMap: {
            /** Cell */
            cell: number | null;
            /** Every */
            every: number;
            /** Feature */
            feature: string;
            /** First */
            first: number;
            /** Keys */
            keys: string[];
            /** Moments */
            moments: number[];
            /** Pane Us */
            pane_us: number;
            /** Panes */
            panes: number;
            /** Se */
            se: (number | null)[];
            /** Status */
            status: number[];
            /** Statuses */
            statuses: string[];
            /** Total */
            total: number;
            /** Value */
            value: (number | null)[];
            /** View */
            view: string;
        };
        JsonValue: unknown;
        /**
         * KeyColumn
         * @description A column of the join key.
         */
        KeyColumn: {
            /** Name */
            name: string;
            /**
             * Type
             * @enum {string}
             */
            type: "string" | "int64" | "bool";
        };
        /**
         * KeySeries
         * @description The values of one key; null where the status has no value.
         */
        KeySeries: {
            /** High */
            high: (number | null)[];
            /** Key */
            key: string;
            /** Low */
            low: (number | null)[];
            /** N */
            n: (number | null)[] | null;
            /** Se */
            se: (number | null)[];
            /** Status */
            status: number[];
            /** Value */
            value: (number | null)[];
        };
        /**
         * Label
         * @description The privacy label of the views that are known.
         *
         *     Attributes:
         *         total: None: no view is known.
         *         budget_micro_rho: of a client-day, in the project, else the default of new projects. over_budget_micro_rho: what all views
         *             together exceed it by.
         *         problems: why other views are not known.
         *         executed: the file was executed, because the operator trusts it.
         */
        Label: {
            /** Budget Micro Rho */
            budget_micro_rho: number;
            /** Executed */
            executed: boolean;
            /** Over Budget Micro Rho */
            over_budget_micro_rho: number;
            /** Problems */
            problems: components["schemas"]["GraphProblem"][];
            total: components["schemas"]["CostExplanation"] | null;
            /** Views */
            views: components["schemas"]["ViewExplanation"][];
        };
        /**
         * Labels
         * @description The training data's labels.
         */
        Labels: {
            /** File */
            file: string;
            /** Rows */
            rows: number | null;
            /** Sha256 */
            sha256: string;
        };
        /**
         * Lasting
         * @description For how many days ε stays at most `epsilon`.
         *
         *     Attributes:
         *         at_least: the longest time that is looked at. So many days mean that ε stays within the limit for at least that long.
         */
        Lasting: {
            /** Aggregator Days */
            aggregator_days: number;
            /** At Least */
            at_least: number;
            /** Epsilon */
            epsilon: number;
            /** Outsiders Days */
            outsiders_days: number;
        };
        /**
         * Ledger
         * @description One ledger: its state, or its problem.
         */
        Ledger: {
            /** Owner */
            owner: string;
            problem: components["schemas"]["Failure"] | null;
            state: components["schemas"]["WholeBudget"] | null;
        };
        /**
         * LedgerCheck
         * @description The result of reading every entry of a ledger. `entries` and `plans` are those of an intact one.
         */
        LedgerCheck: {
            /** Entries */
            entries: number;
            /** Owner */
            owner: string;
            /** Plans */
            plans: number;
            problem: components["schemas"]["Failure"] | null;
        };
        /**
         * LedgerDay
         * @description A charged UTC day (its start, µs). `left` is negative if the budget was lowered since.
         */
        LedgerDay: {
            /** Aggregator Micro Rho */
            aggregator_micro_rho: number;
            /** Day */
            day: number;
            /** Left */
            left: number;
            /** Outsiders Micro Rho */
            outsiders_micro_rho: number;
            /** Spent */
            spent: number;
            /** Views */
            views: components["schemas"]["ViewShare"][];
        };
        /**
         * LedgerDays
         * @description The charged days of a span, in order. `more`: whether the span has earlier ones, too.
         */
        LedgerDays: {
            /** Budget Micro Rho */
            budget_micro_rho: number;
            /** Days */
            days: components["schemas"]["LedgerDay"][];
            /** More */
            more: boolean;
            /** Owner */
            owner: string;
        };
        /**
         * LedgerList
         * @description Ledgers by owner, the operator's first. `next`: the owner after which the next page begins.
         */
        LedgerList: {
            /** Ledgers */
            ledgers: components["schemas"]["Ledger"][];
            /** Next */
            next: string | null;
        };
        /**
         * LedgerOutlook
         * @description How long the budget of a ledger lasts, and the command that says the same.
         *
         *     Attributes:
         *         spent: every day's budget is spent. worst: every day costs as much as the worst one so far; null: none was charged, or no
         *             ε holds.
         *         daily_micro_rho: what a day of all views together costs in the budget.
         */
        LedgerOutlook: {
            /** Command */
            command: string;
            /** Daily Micro Rho */
            daily_micro_rho: number;
            /** Owner */
            owner: string;
            spent: components["schemas"]["Lasting"];
            /** Today */
            today: components["schemas"]["ViewLeft"][];
            /** Today Left */
            today_left: number;
            worst: components["schemas"]["Lasting"] | null;
        };
        /**
         * Lineage
         * @description The graph, and the commands that print it and send it. `emission`: null: the console sends no events.
         */
        Lineage: {
            /** Command */
            command: string;
            /** Edges */
            edges: components["schemas"]["LineageEdge"][];
            emission: components["schemas"]["Emission"] | null;
            /** Nodes */
            nodes: components["schemas"]["LineageNode"][];
            /** Openlineage Command */
            openlineage_command: string;
        };
        /**
         * LineageEdge
         * @description `target` was made from `source`. `what`: the columns or features that went into it.
         */
        LineageEdge: {
            /** Source */
            source: string;
            /** Target */
            target: string;
            /** What */
            what: string[];
        };
        /**
         * LineageFact
         * @description Something about a part.
         */
        LineageFact: {
            /** Name */
            name: string;
            /** Value */
            value: string;
        };
        /**
         * LineageNode
         * @description A part: a source, a view, a plan, the releases of a view, an on-demand view, a service or a model.
         */
        LineageNode: {
            /** Facts */
            facts: components["schemas"]["LineageFact"][];
            /** Id */
            id: string;
            /**
             * Kind
             * @enum {string}
             */
            kind: "source" | "view" | "plan" | "release" | "on_demand" | "service" | "model";
            /** Name */
            name: string;
            /** Problem */
            problem: string | null;
        };
        /**
         * LiteralField
         * @description A value that the file writes out.
         */
        LiteralField: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            kind: "literal";
            value: components["schemas"]["JsonValue"];
        };
        /**
         * Look
         * @description What the labels saw, the labels as a CSV file, and the command that joins them.
         */
        Look: {
            /** Command */
            command: string;
            /** Labels */
            labels: string;
            /** Moment */
            moment: number;
            /** Rows */
            rows: components["schemas"]["SeenRow"][];
        };
        /**
         * LookRequest
         * @description What did a label at this moment see?
         *
         *     Attributes:
         *         features: references, `view:feature`; or a service.
         *         rows: the join keys and inputs of each label, as text by name.
         */
        LookRequest: {
            /**
             * Features
             * @default []
             */
            features?: string[];
            /** Moment */
            moment: number;
            /** Rows */
            rows: {
                [key: string]: string;
            }[];
            /** Service */
            service?: string | null;
        };
        /**
         * Metric
         * @description A metric on the rows of a test. `of`: whose it is, `model` or what the model is compared with.
         */
        Metric: {
            /** High */
            high: number | null;
            /** Low */
            low: number | null;
            /** Name */
            name: string;
            /** Of */
            of: string;
            /** Value */
            value: number | null;
        };
        /**
         * Model
         * @description A name with its versions, the newest first.
         *
         *     `newest`: a registration takes over by itself. `stamp` changes with each promotion, registration and deletion.
         *     `before`: what a rollback brings back; None: nothing. `serve_command` starts a server of this model.
         */
        Model: {
            /** Before */
            before: components["schemas"]["Share"][] | null;
            /** In Force */
            in_force: components["schemas"]["Share"][];
            /** Name */
            name: string;
            /** Newest */
            newest: boolean;
            /** Promotions */
            promotions: components["schemas"]["PromotionOfModel"][];
            /** Serve Command */
            serve_command: string;
            /** Stamp */
            stamp: string;
            /** Versions */
            versions: components["schemas"]["VersionOfModel"][];
        };
        /**
         * Models
         * @description All models. `serving`: the URL of a running server of models; None: the console does not know one.
         *
         *     `train_command` trains a model.
         */
        Models: {
            /** Models */
            models: components["schemas"]["Model"][];
            /** Serving */
            serving: string | null;
            /** Train Command */
            train_command: string;
        };
        /**
         * Needed
         * @description What a label needs beside its moment, and the references that it gets.
         */
        Needed: {
            /** Columns */
            columns: components["schemas"]["NeededColumn"][];
            /** Features */
            features: string[];
        };
        /**
         * NeededColumn
         * @description A join key or an input that references need.
         */
        NeededColumn: {
            /** Is Input */
            is_input: boolean;
            /** Name */
            name: string;
            /**
             * Type
             * @enum {string}
             */
            type: "string" | "int64" | "bool" | "float64";
        };
        /**
         * NeededRequest
         * @description References or a service, of which the needed keys and inputs are asked.
         */
        NeededRequest: {
            /**
             * Features
             * @default []
             */
            features?: string[];
            /** Service */
            service?: string | null;
        };
        /**
         * NextPanes
         * @description What a coordinator would do now with a version of a view.
         *
         *     `ready`: how many panes it would plan; `pausing`: how many are tried again later; `next`: when the next pane closes.
         */
        NextPanes: {
            /** Next */
            next: number | null;
            /** Pausing */
            pausing: number;
            /** Ready */
            ready: number;
            /** Version */
            version: number;
        };
        /**
         * NodeType
         * @description A type of node; `type` is the Python class, and empty for code.
         */
        NodeType: {
            /** Fields */
            fields: components["schemas"]["FieldType"][];
            /** Help */
            help: string;
            /**
             * Kind
             * @enum {string}
             */
            kind: "view" | "entity" | "feature" | "bounds" | "privacy" | "on_demand" | "service" | "code";
            /** Type */
            type: string;
        };
        /**
         * NoiseGroup
         * @description The noise and the price of one noise group; see `covey release show`.
         */
        NoiseGroup: {
            /** Feature */
            feature: string;
            /** Kind */
            kind: string;
            /** Mechanism */
            mechanism: string;
            /** Micro Epsilon */
            micro_epsilon: number;
            /** Micro Rho */
            micro_rho: number;
            /** Scale */
            scale: number;
            /** Standard Error */
            standard_error: number;
        };
        /**
         * Observer
         * @description `aggregator`: one of the two, curious or cheating; it knows its own noise. `outsiders`: they see releases only, with the
         *     noise of two honest aggregators.
         * @enum {string}
         */
        Observer: "aggregator" | "outsiders";
        /**
         * OnDemandForm
         * @description Features that a read computes from stored features and inputs.
         */
        OnDemandForm: {
            /** Features */
            features: string[];
            /** Inputs */
            inputs: {
                [key: string]: "string" | "int64" | "bool" | "float64";
            };
            /** Name */
            name: string;
            /** Outputs */
            outputs: string[];
        };
        /**
         * OverQuota
         * @description A view that costs more than its own quota.
         */
        OverQuota: {
            /** Micro Rho */
            micro_rho: number;
            /** Quota */
            quota: number;
            /** View */
            view: string;
        };
        /**
         * Palette
         * @description Every type of node, in the order in which a page offers them.
         */
        Palette: {
            /** Types */
            types: components["schemas"]["NodeType"][];
        };
        /**
         * PaneCoverage
         * @description A published pane. `sites`: what it says of each site, in the order of `Coverage.sites`.
         */
        PaneCoverage: {
            /** Client Share */
            client_share: number | null;
            /** Counted */
            counted: number | null;
            /** End */
            end: number;
            /** Enrolled */
            enrolled: number | null;
            /** Reason */
            reason: string | null;
            /** Sites */
            sites: string[];
            /** Start */
            start: number;
            /** State */
            state: string;
        };
        /**
         * PanesOf
         * @description The panes of a view. `exhausted`: those that were attempted as often as is allowed, and the command that voids one.
         */
        PanesOf: {
            /** Due */
            due: number;
            /** Exhausted */
            exhausted: number;
            /** Exhausted Panes */
            exhausted_panes: number[];
            /** Next */
            next: components["schemas"]["NextPanes"][];
            /** Opened */
            opened: number;
            /** View */
            view: string;
            /** Void */
            void: number;
            /** Void Command */
            void_command: string | null;
        };
        /**
         * PanesPart
         * @description The panes of each view.
         */
        PanesPart: {
            /** Problem */
            problem: string | null;
            /**
             * Views
             * @default []
             */
            views: components["schemas"]["PanesOf"][];
        };
        /**
         * ParsedText
         * @description A text as a graph. `fault`: the text is no Python, and has no graph.
         */
        ParsedText: {
            fault: components["schemas"]["SyntaxFault"] | null;
            graph: components["schemas"]["Graph"];
            /** Problems */
            problems: components["schemas"]["GraphProblem"][];
        };
        /**
         * Plan
         * @description The plan under way. `commands`: continue it, or give it up.
         */
        Plan: {
            /** Commands */
            commands: string[];
            /** Deadline */
            deadline: number;
            /** First */
            first: number;
            /** Last */
            last: number;
            /** Panes */
            panes: {
                [key: string]: number;
            };
            /** Plan */
            plan: string;
            /** Sites */
            sites: components["schemas"]["SiteInPlan"][];
        };
        /**
         * PlanPart
         * @description The plan that the coordinator carries out, and the one that ended last; None: none.
         */
        PlanPart: {
            last: components["schemas"]["EndedPlan"] | null;
            plan: components["schemas"]["Plan"] | null;
            /** Problem */
            problem: string | null;
        };
        /**
         * PresentPrice
         * @description The price that a view would get now, if an earlier version of Covey registered it at another one.
         *
         *     Attributes:
         *         max_cells: the cells of a client-day that it would count.
         */
        PresentPrice: {
            /** Epsilon */
            epsilon: components["schemas"]["EpsilonClaim"][];
            /** Groups */
            groups: components["schemas"]["GroupExplanation"][];
            /** Max Cells */
            max_cells: number;
            /** Micro Rho */
            micro_rho: number;
        };
        /**
         * Previewed
         * @description What a run would collect and charge.
         *
         *     Attributes:
         *         day_micro_rho: of the dearest day.
         *         epsilon: what 1, 7 and 30 such days cost a client, over all of these views.
         *         least_left: the day with the least left of those that would be charged.
         *         days: how many days would be charged.
         *         refusal: why the ledger or the views would refuse the run; None: they would not.
         *         command: the command that does the same.
         */
        Previewed: {
            /** Budget Micro Rho */
            budget_micro_rho: number;
            /** Command */
            command: string;
            /** Day Micro Rho */
            day_micro_rho: number;
            /** Days */
            days: number;
            /** Epsilon */
            epsilon: components["schemas"]["EpsilonClaim"][];
            least_left: components["schemas"]["PreviewedDay"] | null;
            /** Panes */
            panes: number;
            /** Problems */
            problems: components["schemas"]["GraphProblem"][];
            refusal: components["schemas"]["Failure"] | null;
            /** Views */
            views: components["schemas"]["PreviewedView"][];
        };
        /**
         * PreviewedDay
         * @description A day that would be charged: its cost, and what is left of it before.
         */
        PreviewedDay: {
            /** Day */
            day: string;
            /** Left Micro Rho */
            left_micro_rho: number;
            /** Micro Rho */
            micro_rho: number;
        };
        /**
         * PreviewedView
         * @description What a run would do for a view: see `deployment.run_preview.ViewPreview`. Days are such as `2013-01-31`.
         */
        PreviewedView: {
            /** Already Open */
            already_open: number;
            /** Days Not Over */
            days_not_over: number;
            /** First Day */
            first_day: string | null;
            /** Last Day */
            last_day: string | null;
            /** Micro Rho */
            micro_rho: number;
            /** Panes */
            panes: number;
            /** View */
            view: string;
        };
        /**
         * PricedText
         * @description The views of a text, and why others are not known.
         */
        PricedText: {
            /** Problems */
            problems: components["schemas"]["GraphProblem"][];
            /** Views */
            views: components["schemas"]["PricedView"][];
        };
        /**
         * PricedView
         * @description A view that can be collected. One of `rho` and `epsilon` is the price as it is defined, by its mechanism.
         */
        PricedView: {
            /** Epsilon */
            epsilon: number | null;
            /**
             * Mechanism
             * @enum {string}
             */
            mechanism: "gaussian" | "laplace";
            /** Micro Rho */
            micro_rho: number;
            /** Pane */
            pane: string;
            /** Rho */
            rho: number | null;
            /** View */
            view: string;
            /** Windows */
            windows: string[];
        };
        /**
         * PricedViews
         * @description All views of the store.
         */
        PricedViews: {
            /** Views */
            views: components["schemas"]["PricedView"][];
        };
        /**
         * Problem
         * @description An error: what is wrong, and its mend.
         */
        Problem: {
            /** Code */
            code: string;
            /** Detail */
            detail: string;
            /** Mend */
            mend: string;
            /** Status */
            status: number;
            /** Title */
            title: string;
        };
        /**
         * PromotionOfModel
         * @description A promotion or a rollback.
         */
        PromotionOfModel: {
            /** At */
            at: number;
            /** Rollback */
            rollback: boolean;
            /** Serving */
            serving: string;
        };
        /**
         * PromotionRequest
         * @description `versions`: `newest`, `v2`, or `v1=0.9` and `v2=0.1`.
         */
        PromotionRequest: {
            /**
             * Confirmed
             * @default false
             */
            confirmed?: boolean;
            /** Seen */
            seen: string;
            /** Versions */
            versions: string[];
        };
        /**
         * ProofCost
         * @description The price of `validity="prio3"` for a report of a view.
         *
         *     Attributes:
         *         measurement: elements of the encoded measurement, all of them bits.
         *         pairs: products that are checked, including those of the bits.
         *         proof: elements of one proof.
         *         report_bytes_leader, report_bytes_helper: input share, public share and report id.
         *         sum_vec_ratio: length of measurement and proofs, divided by that of a SumVec of exactly the raw slots' bits.
         *         soundness_bits: an invalid report passes with probability at most 2 to the minus this.
         */
        ProofCost: {
            /** Algorithm */
            algorithm: number;
            /** Field */
            field: string;
            /** Measurement */
            measurement: number;
            /** Pairs */
            pairs: number;
            /** Proof */
            proof: number;
            /** Proofs */
            proofs: number;
            /** Report Bytes Helper */
            report_bytes_helper: number;
            /** Report Bytes Leader */
            report_bytes_leader: number;
            /** Soundness Bits */
            soundness_bits: number;
            /** Sum Vec Ratio */
            sum_vec_ratio: number;
        };
        /**
         * Refusals
         * @description What a ledger has refused, the last one first. `total`: single refusals. `more`: whether older groups are left out.
         */
        Refusals: {
            /** More */
            more: boolean;
            /** Owner */
            owner: string;
            /** Refusals */
            refusals: components["schemas"]["covey__console__api__budgets__ledger_forms__Refusal"][];
            /** Total */
            total: number;
        };
        /**
         * ReleaseCheck
         * @description One check of a release, in the order in which they are made; the first failure ends them.
         *
         *     `skipped`: no key is pinned, or a void does not have what is checked.
         */
        ReleaseCheck: {
            /** Name */
            name: string;
            /**
             * State
             * @enum {string}
             */
            state: "passed" | "failed" | "skipped" | "not reached";
            /** What */
            what: string;
        };
        /**
         * ReleaseCounts
         * @description All panes of the store, by view, and the kinds of trust that they have.
         */
        ReleaseCounts: {
            /** Trusts */
            trusts: string[];
            /** Views */
            views: components["schemas"]["ViewCount"][];
        };
        /**
         * ReleaseDetail
         * @description One release with the terms under which it was opened, without its values.
         */
        ReleaseDetail: {
            /** Claims */
            claims: components["schemas"]["DaysEpsilon"][];
            /** Command */
            command: string;
            /** Delta */
            delta: number;
            /** Finish */
            finish: string;
            /** Groups */
            groups: components["schemas"]["NoiseGroup"][];
            hashes: components["schemas"]["ReleaseHashes"];
            /** K Checked By */
            k_checked_by: string;
            /** Leak Micro Rho */
            leak_micro_rho: number;
            /** Micro Epsilon */
            micro_epsilon: number | null;
            /** Min Clients */
            min_clients: number;
            /** Noise Source */
            noise_source: string;
            /** Noise Split */
            noise_split: string;
            /** Noisers */
            noisers: number;
            /** Outside Claim */
            outside_claim: string[];
            /** Participation */
            participation: string;
            /** Protection */
            protection: string;
            release: components["schemas"]["ReleaseRow"];
            /** Report Per */
            report_per: string;
            sites: components["schemas"]["SitesInRelease"] | null;
            /** Validity */
            validity: string;
        };
        /**
         * ReleaseHashes
         * @description Hashes and the signature of a release, in hexadecimal.
         */
        ReleaseHashes: {
            /** Content */
            content: string;
            /** Definition */
            definition: string;
            /** Helper Statement */
            helper_statement: string;
            /** Leader Statement */
            leader_statement: string;
            /** Opened */
            opened: string[];
            /** Plan */
            plan: string;
            /** Signature */
            signature: string;
        };
        /**
         * ReleasePage
         * @description A page of the list, the newest pane first. `next`: the cursor of the next page.
         */
        ReleasePage: {
            /** Next */
            next: string | null;
            /** Releases */
            releases: components["schemas"]["ReleaseRow"][];
        };
        /**
         * ReleaseRow
         * @description A published pane.
         */
        ReleaseRow: {
            /**
             * Clock
             * @enum {string}
             */
            clock: "live" | "replay";
            /** Micro Rho */
            micro_rho: number;
            /** Noise */
            noise: string;
            /** Pane End */
            pane_end: number;
            /** Pane Start */
            pane_start: number;
            /** Published At */
            published_at: number;
            /** Reason */
            reason: string | null;
            /** Release Id */
            release_id: string;
            /** Released At */
            released_at: number;
            /** Retracted At */
            retracted_at: number | null;
            /** Signed */
            signed: boolean;
            /**
             * State
             * @enum {string}
             */
            state: "opened" | "void" | "retracted";
            /** Trust */
            trust: string;
            /** Version */
            version: number;
            /** View */
            view: string;
        };
        /**
         * RenderBody
         * @description A text, and what its graph was edited to.
         */
        RenderBody: {
            graph: components["schemas"]["Graph"];
            /** Text */
            text: string;
        };
        /**
         * RenderedText
         * @description The text with the edits of the graph.
         *
         *     Attributes:
         *         graph: of the new text; ids: by id in the edited graph, the id in the new one.
         */
        RenderedText: {
            graph: components["schemas"]["Graph"];
            /** Ids */
            ids: {
                [key: string]: string;
            };
            /** Problems */
            problems: components["schemas"]["GraphProblem"][];
            /** Text */
            text: string;
        };
        /**
         * ReportOfLab
         * @description The report of a sweep, or of a named set of experiments. `runs`: how many runs or experiments.
         */
        ReportOfLab: {
            /** Folder */
            folder: string;
            /** Kind */
            kind: string;
            /** Name */
            name: string;
            /** Runs */
            runs: number;
        };
        /**
         * Retraction
         * @description A published tombstone, and the command that does the same.
         */
        Retraction: {
            /** Command */
            command: string;
            release: components["schemas"]["ReleaseRow"];
            /** Signed */
            signed: boolean;
        };
        /**
         * RetractionPreview
         * @description What a retraction would do. `why_not`: why it is not possible; null: it is.
         */
        RetractionPreview: {
            /** Command */
            command: string;
            /** Effect */
            effect: string;
            release: components["schemas"]["ReleaseRow"];
            /** Why Not */
            why_not: string | null;
        };
        /**
         * RetractionRequest
         * @description `reason` is published with the tombstone.
         */
        RetractionRequest: {
            /**
             * Confirmed
             * @default false
             */
            confirmed?: boolean;
            /** Reason */
            reason: string;
        };
        /**
         * Role
         * @description A role that `covey up` has started. `state`: a task that has ended well is `done`. `why`: the last process ended.
         */
        Role: {
            /** Address */
            address: string | null;
            /** Failing */
            failing: boolean;
            /** Log Command */
            log_command: string;
            /** Name */
            name: string;
            /** Restarts */
            restarts: number;
            /** Since */
            since: number;
            /** State */
            state: string;
            /** Waits For */
            waits_for: string | null;
            /** Why */
            why: string | null;
        };
        /**
         * RolesPart
         * @description The roles that run here. `since` None: `covey up` runs none.
         */
        RolesPart: {
            /** Problem */
            problem: string | null;
            /**
             * Roles
             * @default []
             */
            roles: components["schemas"]["Role"][];
            /** Since */
            since: number | null;
        };
        /**
         * RunBody
         * @description Which views of a text to collect, and under which terms.
         *
         *     Attributes:
         *         views: the names of feature views; none: all of the text.
         *         start, end: the panes inside [start, end), UTC; none: those of the ended days that hold events.
         *         noise: `off` publishes the exact sums.
         *         budget: the most ρ of a client-day.
         */
        RunBody: {
            /**
             * Budget
             * @default 0.1
             */
            budget?: string;
            /** End */
            end?: string | null;
            /**
             * Noise
             * @default on
             * @enum {string}
             */
            noise?: "on" | "off";
            /** Start */
            start?: string | null;
            /** Text */
            text: string;
            /**
             * Views
             * @default []
             */
            views?: string[];
        };
        /**
         * RunOfLab
         * @description A run. `settings` and `results` do not have what is common to all runs; see `RunsOfLab.common`.
         */
        RunOfLab: {
            /** Error */
            error: string | null;
            /** Folder */
            folder: string;
            /** Has Report */
            has_report: boolean;
            /** Results */
            results: {
                [key: string]: number;
            };
            /** Seconds */
            seconds: number | null;
            /** Settings */
            settings: {
                [key: string]: string;
            };
            /** Started At */
            started_at: string;
            /** Status */
            status: string;
            /** Sweep */
            sweep: string | null;
        };
        /**
         * RunProgress
         * @description How far a step of a view is.
         */
        RunProgress: {
            /** Done */
            done: number;
            /** Step */
            step: string;
            /** Total */
            total: number;
            /** View */
            view: string;
        };
        /**
         * RunsOfLab
         * @description What a folder of the laboratory holds.
         *
         *     `folder`: None: the console was started without one. `common`: the settings that are the same in all runs. `left_out`: there
         *     is more than is shown. `command` makes runs.
         */
        RunsOfLab: {
            /** Command */
            command: string;
            /** Common */
            common: {
                [key: string]: string;
            };
            /** Damaged */
            damaged: components["schemas"]["DamagedRun"][];
            /** Folder */
            folder: string | null;
            /** Left Out */
            left_out: boolean;
            /** Reports */
            reports: components["schemas"]["ReportOfLab"][];
            /** Runs */
            runs: components["schemas"]["RunOfLab"][];
        };
        /**
         * SaveBody
         * @description A new text of the views file, and the hash of the one that it is based on.
         */
        SaveBody: {
            /** Based On */
            based_on: string;
            /** Text */
            text: string;
        };
        /**
         * SavedFile
         * @description The file as it is now, and the commands that one runs next.
         */
        SavedFile: {
            /** Commands */
            commands: string[];
            /** Sha256 */
            sha256: string;
        };
        /**
         * SeenPane
         * @description The pane whose row a label gets, in its state at the moment of the label; `age`: from the pane's end to the moment.
         */
        SeenPane: {
            /** Age */
            age: number;
            /** End */
            end: number;
            /** Reason */
            reason: string | null;
            /** Release */
            release: string;
            /** Released */
            released: number;
            /** Start */
            start: number;
            /**
             * State
             * @enum {string}
             */
            state: "opened" | "void" | "retracted";
            /** View */
            view: string;
        };
        /**
         * SeenRequest
         * @description `seen`: the stamp of the model that the user saw. `confirmed`: the user has seen the preview, and agrees.
         */
        SeenRequest: {
            /**
             * Confirmed
             * @default false
             */
            confirmed?: boolean;
            /** Seen */
            seen: string;
        };
        /**
         * SeenRow
         * @description What one label saw.
         */
        SeenRow: {
            /** Keys */
            keys: {
                [key: string]: string;
            };
            /** Values */
            values: components["schemas"]["SeenValue"][];
        };
        /**
         * SeenValue
         * @description A value that a label saw. A histogram has several; the error of a computed value is unknown.
         */
        SeenValue: {
            /** High */
            high: number | number[] | null;
            /** Low */
            low: number | number[] | null;
            /** N */
            n: number | null;
            pane: components["schemas"]["SeenPane"] | null;
            /** Ref */
            ref: string;
            /** Se */
            se: number | null;
            /** Status */
            status: string;
            /** Value */
            value: number | number[] | null;
        };
        /**
         * SeriesForm
         * @description One feature of some keys over time, in columns.
         *
         *     Attributes:
         *         every: 1: every pane is here; n: every n-th, because there are more panes than were asked for.
         *         panes: how many panes there are in the time range.
         *         moments, released: the start of each pane, and when its row was released.
         *         statuses: the name of each code in `status`.
         *         gaps: voids and retractions in the time range; `more_gaps`: later ones are left out.
         */
        SeriesForm: {
            /** Cell */
            cell: number | null;
            /** Every */
            every: number;
            /** Feature */
            feature: string;
            /** Gaps */
            gaps: components["schemas"]["Gap"][];
            /** Keys */
            keys: components["schemas"]["KeySeries"][];
            /** Moments */
            moments: number[];
            /** More Gaps */
            more_gaps: boolean;
            /** Pane Us */
            pane_us: number;
            /** Panes */
            panes: number;
            /** Released */
            released: number[];
            /** Releases */
            releases: string[];
            /** Statuses */
            statuses: string[];
            /** View */
            view: string;
        };
        /**
         * ServedVersion
         * @description What a version has done since its server began. Times are means in ms; None: there was no request.
         *
         *     `stages`: empty where the server gives no histograms.
         */
        ServedVersion: {
            /** Batch Rows */
            batch_rows: number | null;
            /** Batches */
            batches: number;
            /** Infer Ms */
            infer_ms: number | null;
            /** Model */
            model: string;
            /** Queue Ms */
            queue_ms: number | null;
            /** Read Ms */
            read_ms: number | null;
            /** Refused Or Failed */
            refused_or_failed: number;
            /** Requests */
            requests: number;
            /** Rows */
            rows: number;
            /** Stages */
            stages: components["schemas"]["StageLatency"][];
            /** Version */
            version: number;
        };
        /**
         * ServiceForm
         * @description A named list of references.
         */
        ServiceForm: {
            /** Name */
            name: string;
            /** Refs */
            refs: string[];
        };
        /**
         * ServicesResult
         * @description The feature services of the text after a run. `waiting`: they read a view that was left out and the store does not have.
         */
        ServicesResult: {
            /** Registered */
            registered: string[];
            /** Waiting */
            waiting: string[];
        };
        /**
         * ServingChange
         * @description Which versions answer requests before and after a change, and the command that makes it.
         */
        ServingChange: {
            /** After */
            after: components["schemas"]["Share"][];
            /** Before */
            before: components["schemas"]["Share"][];
            /** Command */
            command: string;
        };
        /**
         * ServingStatistics
         * @description The statistics of the server of models; `url` None: the console does not know one. `problem`: why they are not known.
         */
        ServingStatistics: {
            /** Problem */
            problem: string | null;
            /** Url */
            url: string | null;
            /** Versions */
            versions: components["schemas"]["ServedVersion"][];
        };
        /**
         * Session
         * @description What the page may do. Every request but a GET carries `csrf` in the header X-Covey-Console.
         */
        Session: {
            /** Csrf */
            csrf: string;
            /** Name */
            name: string;
            /**
             * Role
             * @enum {string}
             */
            role: "reader" | "author" | "operator";
        };
        /**
         * Share
         * @description The share of the requests that a version answers, between 0 and 1.
         */
        Share: {
            /** Share */
            share: number;
            /** Version */
            version: number;
        };
        /**
         * Site
         * @description What is known here of a site.
         *
         *     `answers`: how many of the last plans ended answered, refused, absent, lost. `ledger`: `whole`, `broken`, or `elsewhere`.
         */
        Site: {
            /** Answers */
            answers: {
                [key: string]: number;
            };
            /** Last Answer */
            last_answer: string | null;
            /** Ledger */
            ledger: string;
            /** Ledger Problem */
            ledger_problem: string | null;
            /** Max Clients */
            max_clients: number | null;
            /** Refusals */
            refusals: components["schemas"]["covey__console__api__fleet__site_forms__Refusal"][];
            /** Seen */
            seen: number | null;
            /** Site */
            site: string;
        };
        /**
         * SiteInPlan
         * @description What a site has answered to the plan under way. `state` None: nothing yet.
         */
        SiteInPlan: {
            /** Batches */
            batches: number;
            /** Code */
            code: string | null;
            /** Sentence */
            sentence: string;
            /** Site */
            site: string;
            /** State */
            state: string | null;
        };
        /**
         * SitesInRelease
         * @description Which sites are in the sums. `share`: of all enrolled clients, whose sites are. `missing`: at most 1,000 of them.
         */
        SitesInRelease: {
            /** Counted */
            counted: number;
            /** Enrolled */
            enrolled: number;
            /** Missing */
            missing: string[];
            /** Share */
            share: number;
        };
        /**
         * SitesPart
         * @description The sites of the project.
         */
        SitesPart: {
            /** Problem */
            problem: string | null;
            /**
             * Sites
             * @default []
             */
            sites: components["schemas"]["Site"][];
        };
        /**
         * Source
         * @description The events of the console, or of a site of its project: columns and their types, never a row.
         *
         *     Attributes:
         *         client, time, site: the columns that have these; empty: there is none.
         *         why_not: why its columns are not known; else empty.
         */
        Source: {
            /** Client */
            client: string;
            /** Columns */
            columns: components["schemas"]["SourceColumn"][];
            /** Id */
            id: string;
            /** Name */
            name: string;
            /** Site */
            site: string;
            /** Time */
            time: string;
            /** Why Not */
            why_not: string;
        };
        /**
         * SourceColumn
         * @description A column that views may use.
         */
        SourceColumn: {
            /** Name */
            name: string;
            /**
             * Type
             * @enum {string}
             */
            type: "number" | "text" | "boolean" | "time" | "other";
        };
        /**
         * Sources
         * @description All sources that are known here. `collects`: the id of the one that runs of the console collect over; empty: none.
         */
        Sources: {
            /** Collects */
            collects: string;
            /** Sources */
            sources: components["schemas"]["Source"][];
        };
        /**
         * StageLatency
         * @description The times of one stage. `p50`, `p95`: the buckets of the server's histogram that half and 95 % of them end in.
         */
        StageLatency: {
            /** Count */
            count: number;
            /** Mean Ms */
            mean_ms: number;
            p50: components["schemas"]["Bucket"];
            p95: components["schemas"]["Bucket"];
            /** Stage */
            stage: string;
        };
        /**
         * StartBody
         * @description A run that the user has said yes to.
         */
        StartBody: {
            /**
             * Budget
             * @default 0.1
             */
            budget?: string;
            /**
             * Confirmed
             * @default false
             */
            confirmed?: boolean;
            /** End */
            end?: string | null;
            /**
             * Noise
             * @default on
             * @enum {string}
             */
            noise?: "on" | "off";
            /** Start */
            start?: string | null;
            /** Text */
            text: string;
            /**
             * Views
             * @default []
             */
            views?: string[];
        };
        /**
         * SyntaxFault
         * @description Where a text is no Python; lines and columns count from 1.
         */
        SyntaxFault: {
            /** Column */
            column: number;
            /** Line */
            line: number;
            /** Message */
            message: string;
        };
        /**
         * TextBody
         * @description A text of a views file.
         */
        TextBody: {
            /** Text */
            text: string;
        };
        /**
         * Usage
         * @description How to read the same values elsewhere: commands, and a cell of a notebook.
         */
        Usage: {
            /** Get */
            get: string | null;
            /** History */
            history: string;
            /** Notebook */
            notebook: string;
        };
        /**
         * Verification
         * @description What the verification of a release found.
         *
         *     Attributes:
         *         why: of a failure. keys: whose keys it was checked with. key: the id of the collector's key that signed it.
         */
        Verification: {
            /** Checks */
            checks: components["schemas"]["ReleaseCheck"][];
            /** Command */
            command: string;
            /** Failed */
            failed: string | null;
            /** Key */
            key: string | null;
            /** Keys */
            keys: string;
            /**
             * Result
             * @enum {string}
             */
            result: "verified" | "failed" | "unsigned" | "expired";
            /** Why */
            why: string;
        };
        /**
         * VersionOfModel
         * @description A version of a model.
         *
         *     `damaged` says why its test cannot be read. `deletable`: it is not in force.
         */
        VersionOfModel: {
            /** Columns */
            columns: string[];
            /** Damaged */
            damaged: string | null;
            /** Deletable */
            deletable: boolean;
            /** Features */
            features: string[];
            /** Files */
            files: {
                [key: string]: string;
            };
            /** Kind */
            kind: string;
            labels: components["schemas"]["Labels"] | null;
            /** Metrics */
            metrics: components["schemas"]["Metric"][];
            /** Registered At */
            registered_at: number;
            /** Seed */
            seed: string;
            /** Service */
            service: string;
            /** Share */
            share: number;
            /** Task */
            task: string;
            /** Version */
            version: number;
            /** Views */
            views: string[];
        };
        /**
         * ViewCost
         * @description One view, collected every day: a client-day against an aggregator and outsiders, in millionths of ρ, and ε at its δ.
         */
        ViewCost: {
            /** Claims */
            claims: components["schemas"]["DaysEpsilon"][];
            /** Micro Rho */
            micro_rho: number;
            /** Outsiders Micro Rho */
            outsiders_micro_rho: number;
            /** Pane */
            pane: string;
            /** Panes Per Day */
            panes_per_day: number;
            /** View */
            view: string;
        };
        /**
         * ViewCount
         * @description How many panes a view has. `opened`: without the retracted ones.
         */
        ViewCount: {
            /** First */
            first: number;
            /** Last */
            last: number;
            /** Opened */
            opened: number;
            /** Retracted */
            retracted: number;
            /** View */
            view: string;
            /** Void */
            void: number;
        };
        /**
         * ViewExplanation
         * @description Everything about a view that follows from its definition.
         *
         *     Attributes:
         *         asked_rho, asked_epsilon: the price as the definition has it; one of them is None.
         *         held_millionths: that price in whole millionths of ρ (Gaussian) or ε (Laplace).
         *         lost_millionths: the rest that the split over the groups does not use.
         *         with_proofs: the size of a report under `validity="prio3"`; `report_bytes_…` are without proofs.
         *         encrypted: a report under `protection="he"`, which goes to the leader only.
         *         noisers, noise_factor, noise_split: as in a manifest.
         *         site_clients: the most clients of a site, if a report is a site's sum (`report_per="site"`); else 0.
         *         present: the price that the definition would get now, if the store has the view at that of an earlier version. All
         *             else is then about the view as the store has it.
         */
        ViewExplanation: {
            /** Asked Epsilon */
            asked_epsilon: number | null;
            /** Asked Rho */
            asked_rho: number | null;
            cost: components["schemas"]["CostExplanation"];
            encrypted: components["schemas"]["EncryptedCost"];
            /** Entity */
            entity: string[];
            /** Features */
            features: components["schemas"]["FeatureExplanation"][];
            /** Filtered */
            filtered: components["schemas"]["FilteredExplanation"][];
            /** Groups */
            groups: components["schemas"]["GroupExplanation"][];
            /** Held Millionths */
            held_millionths: number;
            /** Keys */
            keys: number;
            /** Lost Millionths */
            lost_millionths: number;
            /** Max Cells */
            max_cells: number;
            /** Max Events Per Cell */
            max_events_per_cell: number;
            /**
             * Mechanism
             * @enum {string}
             */
            mechanism: "gaussian" | "laplace";
            /** Min Clients */
            min_clients: number;
            /** Neighbours */
            neighbours: string;
            /** Noise Factor */
            noise_factor: number;
            /**
             * Noise Split
             * @enum {string}
             */
            noise_split: "each" | "shared";
            /** Noisers */
            noisers: number;
            /** Outside Claim */
            outside_claim: {
                [key: string]: string[];
            };
            /** Pane */
            pane: string;
            present?: components["schemas"]["PresentPrice"] | null;
            /** Report Bytes Helper */
            report_bytes_helper: number;
            /** Report Bytes Leader */
            report_bytes_leader: number;
            /**
             * Site Clients
             * @default 0
             */
            site_clients?: number;
            /** Slots */
            slots: number;
            /** Unit */
            unit: string;
            /** View */
            view: string;
            /** Windows */
            windows: string[];
            with_proofs: components["schemas"]["ProofCost"];
        };
        /**
         * ViewForm
         * @description A view, as its name serves it.
         *
         *     Attributes:
         *         keys: the number of keys in the domain; constant: reads need no key.
         *         freshness: see `deployment.inspect.freshness`.
         *         newest_end: the end of the newest pane; due_at: when the next one is due.
         *         elsewhere: the features of its other versions, as `late_7d@v1`.
         */
        ViewForm: {
            /** Constant */
            constant: boolean;
            /** Description */
            description: string;
            /** Due At */
            due_at: number | null;
            /** Elsewhere */
            elsewhere: string[];
            /** Entity */
            entity: components["schemas"]["KeyColumn"][];
            /** Features */
            features: components["schemas"]["FeatureForm"][];
            /** First Start */
            first_start: number | null;
            /**
             * Freshness
             * @enum {string}
             */
            freshness: "fresh" | "late" | "expired" | "replayed" | "empty";
            /** Keys */
            keys: number;
            /** Missing */
            missing: number;
            /** Name */
            name: string;
            /** Newest End */
            newest_end: number | null;
            /** Opened */
            opened: number;
            /** Owner */
            owner: string;
            /** Pane */
            pane: string;
            /** Pane Us */
            pane_us: number;
            /** Tags */
            tags: {
                [key: string]: string;
            };
            /** Ttl Us */
            ttl_us: number | null;
            /** Version */
            version: number;
            /** Versions */
            versions: number[];
            /** Void */
            void: number;
            /** Windows */
            windows: string[];
        };
        /**
         * ViewLeft
         * @description A view, and what a day of it costs in a budget.
         *
         *     Attributes:
         *         paid: today was charged already. fits: what today has left pays for it.
         */
        ViewLeft: {
            /** Fits */
            fits: boolean;
            /** Micro Rho */
            micro_rho: number;
            /** Paid */
            paid: boolean;
            /** View */
            view: string;
        };
        /**
         * ViewResult
         * @description What a run has collected of a view.
         */
        ViewResult: {
            /** Already Open */
            already_open: number;
            /** Dropped */
            dropped: {
                [key: string]: number;
            };
            /** Opened */
            opened: number;
            /** Rejected */
            rejected: number;
            /** Reports */
            reports: number | null;
            /** View */
            view: string;
            /** Void */
            void: number;
        };
        /**
         * ViewShare
         * @description What one view was charged for a day. `collections`: how many of them paid for it. `roles`: who charged it.
         */
        ViewShare: {
            /** Collections */
            collections: number;
            /** Micro Rho */
            micro_rho: number;
            /** Roles */
            roles: string[];
            /** View */
            view: string;
        };
        /**
         * ViewsFile
         * @description The views file of the console.
         *
         *     Attributes:
         *         path: empty: the console has none.
         *         sha256: of the bytes that were read; empty: there is no file yet.
         *         editable: whether it can be saved; why_not: the reason, and the mend.
         *         commands: what one does next with a saved file.
         */
        ViewsFile: {
            /** Commands */
            commands: string[];
            /** Editable */
            editable: boolean;
            fault: components["schemas"]["SyntaxFault"] | null;
            graph: components["schemas"]["Graph"];
            /** Path */
            path: string;
            /** Problems */
            problems: components["schemas"]["GraphProblem"][];
            /** Sha256 */
            sha256: string;
            /** Text */
            text: string;
            /** Why Not */
            why_not: string;
        };
        /**
         * WhatIfAnswer
         * @description The cost of all chosen views together, and of each. `command` shows the same; it reads the saved file.
         */
        WhatIfAnswer: {
            /** Budgets */
            budgets: components["schemas"]["BudgetFit"][];
            /** Claims */
            claims: components["schemas"]["DaysEpsilon"][];
            /** Command */
            command: string;
            /** Curve */
            curve: components["schemas"]["DaysEpsilon"][];
            /** Days */
            days: number;
            /** Delta */
            delta: number;
            lasting: components["schemas"]["Lasting"] | null;
            /** Micro Rho */
            micro_rho: number;
            /** Outsiders Micro Rho */
            outsiders_micro_rho: number;
            /** Views */
            views: components["schemas"]["ViewCost"][];
        };
        /**
         * WhatIfOfText
         * @description Views of a text to collect every day.
         */
        WhatIfOfText: {
            /**
             * Days
             * @default 365
             */
            days?: number;
            /** Epsilon */
            epsilon?: number | null;
            /** Text */
            text: string;
            /** Views */
            views: components["schemas"]["ChosenView"][];
        };
        /**
         * WhatIfRequest
         * @description Registered views to collect every day, for so many days. `epsilon`: how long ε stays at most this.
         */
        WhatIfRequest: {
            /**
             * Days
             * @default 365
             */
            days?: number;
            /** Epsilon */
            epsilon?: number | null;
            /** Views */
            views: components["schemas"]["ChosenView"][];
        };
        /**
         * WholeBudget
         * @description The state of an intact ledger, and its budget of a client-day. Numbers of ρ are millionths.
         *
         *     Attributes:
         *         counts: whose view the budget counts. today_left: of the UTC day that it is now.
         *         exact_sums: whether exact sums were charged; no ε holds for them.
         */
        WholeBudget: {
            /** Budget Claims */
            budget_claims: components["schemas"]["DaysEpsilon"][];
            /** Budget Micro Rho */
            budget_micro_rho: number;
            counts: components["schemas"]["Observer"];
            /** Days Charged */
            days_charged: number;
            /** Delta */
            delta: number;
            /** Entries */
            entries: number;
            /** Exact Sums */
            exact_sums: boolean;
            /** First Day */
            first_day: number | null;
            /** Last Day */
            last_day: number | null;
            /** Plans Charged */
            plans_charged: number;
            /** Plans Unfinished */
            plans_unfinished: number;
            /** Quotas */
            quotas: {
                [key: string]: number;
            };
            /** Rebuilt At */
            rebuilt_at: number | null;
            /** Refusals */
            refusals: number;
            /** Spent Claims */
            spent_claims: components["schemas"]["DaysEpsilon"][];
            /** Today */
            today: number;
            /** Today Left */
            today_left: number;
            /** Today Spent */
            today_spent: number;
            /** Views */
            views: string[];
        };
        /**
         * Refusal
         * @description Refusals of one role, code and view. `days`: spans of days (first, last), µs; the newest ones if there are many.
         */
        covey__console__api__budgets__ledger_forms__Refusal: {
            /** Code */
            code: string;
            /** Days */
            days: [
                number,
                number
            ][];
            /** First At */
            first_at: number;
            /** Last At */
            last_at: number;
            /** Plans */
            plans: number;
            /** Role */
            role: string | null;
            /** Sentence */
            sentence: string;
            /** View */
            view: string | null;
        };
        /**
         * Refusal
         * @description How often a site gave a code; `sentence` and `mend` are those of the code.
         */
        covey__console__api__fleet__site_forms__Refusal: {
            /** Code */
            code: string;
            /** Count */
            count: number;
            /** Last */
            last: number;
            /** Mend */
            mend: string;
            /** Sentence */
            sentence: string;
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
    about: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["About"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listLedgers: {
        parameters: {
            query?: {
                after?: string | null;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LedgerList"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    checkLedger: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description operator, or site-ID */
                owner: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LedgerCheck"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listLedgerDays: {
        parameters: {
            query?: {
                view?: string | null;
                first?: string | null;
                last?: string | null;
                limit?: number;
            };
            header?: never;
            path: {
                /** @description operator, or site-ID */
                owner: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LedgerDays"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readLedgerOutlook: {
        parameters: {
            query?: {
                epsilon?: number;
            };
            header?: never;
            path: {
                /** @description operator, or site-ID */
                owner: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LedgerOutlook"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listRefusals: {
        parameters: {
            query?: {
                view?: string | null;
                limit?: number;
            };
            header?: never;
            path: {
                /** @description operator, or site-ID */
                owner: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusals"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listPricedViews: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PricedViews"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    whatIf: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WhatIfRequest"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WhatIfAnswer"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    compareViews: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CompareBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Comparison"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    checkCondition: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConditionBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Condition"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    explainViews: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ExplainBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Label"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getViewsFile: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ViewsFile"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    saveViewsFile: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SaveBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedFile"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getPalette: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Palette"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    parseViews: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TextBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ParsedText"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listPricesOfText: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TextBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PricedText"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    renderViews: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RenderBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RenderedText"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getRuns: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CollectionRuns"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    startRun: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StartBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CollectionRun"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    previewRun: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunBody"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Previewed"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getRun: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CollectionRun"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancelRun: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CollectionRun"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    followRun: {
        parameters: {
            query?: never;
            header?: {
                "Last-Event-ID"?: number | null;
            };
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSources: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Sources"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    whatIfOfText: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WhatIfOfText"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WhatIfAnswer"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listFeatures: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FeatureList"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    lookAtMoment: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["LookRequest"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Look"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    neededColumns: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NeededRequest"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Needed"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readView: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of a view, or `view@v<n>` for a pinned version. */
                view: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ViewForm"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    exportRows: {
        parameters: {
            query?: {
                format?: "csv" | "parquet";
                /** @description Join keys as text; one of several columns is a JSON list, such as [1, true]. */
                key?: string[];
                from?: number | null;
                to?: number | null;
            };
            header?: never;
            path: {
                /** @description The name of a view, or `view@v<n>` for a pinned version. */
                view: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readHeatMap: {
        parameters: {
            query: {
                feature: string;
                /** @description The cell of a histogram. */
                cell?: number;
                from?: number | null;
                to?: number | null;
                first?: number;
                keys?: number;
            };
            header?: never;
            path: {
                /** @description The name of a view, or `view@v<n>` for a pinned version. */
                view: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HeatMap"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    findKeys: {
        parameters: {
            query?: {
                text?: string;
                most?: number;
            };
            header?: never;
            path: {
                /** @description The name of a view, or `view@v<n>` for a pinned version. */
                view: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FoundKeys"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readSeries: {
        parameters: {
            query: {
                feature: string;
                /** @description Join keys as text; one of several columns is a JSON list, such as [1, true]. */
                key?: string[];
                /** @description The cell of a histogram. */
                cell?: number;
                from?: number | null;
                to?: number | null;
                at_most?: number;
            };
            header?: never;
            path: {
                /** @description The name of a view, or `view@v<n>` for a pinned version. */
                view: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SeriesForm"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readUsage: {
        parameters: {
            query: {
                feature: string;
                /** @description Join keys as text; one of several columns is a JSON list, such as [1, true]. */
                key?: string[];
                /** @description The cell of a histogram. */
                cell?: number;
                from?: number | null;
                to?: number | null;
            };
            header?: never;
            path: {
                /** @description The name of a view, or `view@v<n>` for a pinned version. */
                view: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Usage"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readFleet: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FleetState"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readCoverage: {
        parameters: {
            query: {
                view: string;
                panes?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Coverage"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    checkDrift: {
        parameters: {
            query?: {
                last?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Drift"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    followFleet: {
        parameters: {
            query?: never;
            header?: {
                "Last-Event-ID"?: number | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readLabReport: {
        parameters: {
            query: {
                folder: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listLabRuns: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunsOfLab"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    showLineage: {
        parameters: {
            query?: {
                /** @description A view, service or model; default: all */
                part?: string | null;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Lineage"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listModels: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Models"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readServingStatistics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServingStatistics"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteModel: {
        parameters: {
            query: {
                seen: string;
                version?: number | null;
                confirmed?: boolean;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deletion"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    previewDeletion: {
        parameters: {
            query?: {
                version?: number | null;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deletion"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    previewPromotion: {
        parameters: {
            query: {
                versions: string[];
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServingChange"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    promoteModel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PromotionRequest"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServingChange"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    previewRollback: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServingChange"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    rollBackModel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SeenRequest"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServingChange"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listReleases: {
        parameters: {
            query?: {
                view?: string | null;
                state?: ("opened" | "void" | "retracted") | null;
                trust?: string | null;
                /** @description µs since the epoch */
                first?: number | null;
                /** @description µs since the epoch */
                end?: number | null;
                /** @description In a reason, or the beginning of a release or plan in hexadecimal */
                text?: string | null;
                cursor?: string | null;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReleasePage"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    countReleases: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReleaseCounts"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    showRelease: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description 32 hex digits */
                release_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReleaseDetail"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    previewRetraction: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description 32 hex digits */
                release_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RetractionPreview"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    retractRelease: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description 32 hex digits */
                release_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetractionRequest"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Retraction"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    verifyRelease: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description 32 hex digits */
                release_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Verification"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    openSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Credentials"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description An error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
