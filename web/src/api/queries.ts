// The query client and the reads that several screens share. A screen's own reads stand with it.
import { QueryClient, queryOptions } from "@tanstack/svelte-query";
import { ask, client } from "./client";
import { ApiError } from "./errors";

const RETRIES_MAX = 2;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A person asks again when they want; nothing is asked while the page idles.
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      refetchOnReconnect: true,
      retry: (count, fault) => fault instanceof ApiError && fault.isTransient && count < RETRIES_MAX,
      retryDelay: (count, fault) =>
        fault instanceof ApiError && fault.retryAfterSeconds !== null
          ? Math.min(fault.retryAfterSeconds, 30) * 1_000
          : 500 * 2 ** count,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

export const streamsQuery = () =>
  queryOptions({
    queryKey: ["streams"],
    staleTime: 5 * 60_000,
    queryFn: async ({ signal }) => (await ask(client.GET("/api/v1/streams", { signal }))).streams,
  });
