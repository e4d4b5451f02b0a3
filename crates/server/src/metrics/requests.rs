//! Requests by route and status, and how long they took to the head of their answer. The access log
//! (`api/http/access.rs`) tells what to count. All routes are known from the start: a request takes no lock
//! and no memory, and no label is made by a caller.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use http::{Method, StatusCode};

use super::{
    figures::{Figure, Labels, Value},
    histogram::RequestTimes,
};

/// What is said of a path or a method that no route has: a client may have put anything there.
pub(crate) const OTHER: &str = "other";

/// The statuses that this server gives; another would be counted as `other`.
const STATUSES: [u16; 25] = [
    101, 200, 201, 202, 204, 206, 302, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 411, 413,
    415, 416, 429, 431, 500, 503,
];

/// The requests that were answered, of all routes.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts {
    routes: HashMap<&'static str, Route>,
    /// What no route is for, and what could not be read.
    other: Counts,
}

/// The requests to one path.
#[derive(Debug, Default)]
struct Route {
    methods: Vec<(Method, Counts)>,
    /// Those with a method that it does not take, preflights too.
    other: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    /// As [`STATUSES`], and one for others.
    statuses: [AtomicU64; STATUSES.len() + 1],
    times: RequestTimes,
    abandoned: AtomicU64,
}

/// Where one request is counted when it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a>(&'a Counts);

impl RequestCounts {
    pub(super) fn of(routes: impl IntoIterator<Item = (Method, &'static str)>) -> Self {
        let mut by_path = HashMap::<_, Route>::new();
        for (method, path) in routes {
            by_path.entry(path).or_default().methods.push((method, Counts::default()));
        }
        Self { routes: by_path, other: Counts::default() }
    }

    /// A request with this method, to this path of the table of routes.
    pub(crate) fn of_route(&self, method: &Method, path: &str) -> Counted<'_> {
        let Some(route) = self.routes.get(path) else { return Counted(&self.other) };
        // What answers GET answers HEAD, too.
        let is = |one: &Method| one == method || (method == Method::HEAD && one == Method::GET);
        let of_method = route.methods.iter().find(|(one, _)| is(one));
        Counted(of_method.map_or(&route.other, |(_, counts)| counts))
    }

    /// A request could not be read, and was answered with this.
    pub(crate) fn unread(&self, status: StatusCode) {
        self.other.answered(status);
    }

    /// As figures.
    pub(crate) fn show(&self) -> [Figure; 3] {
        let mut requests = Figure::counter(
            "http_requests",
            "Requests by their route and the status of their answer",
        );
        let mut times = Figure::histogram(
            "http_request_duration",
            "From the head of a request to the head of its answer",
        );
        let mut abandoned = Figure::counter(
            "http_requests_abandoned",
            "Requests whose client hung up before they were answered",
        );
        for (method, route, counts) in self.all() {
            let labels = || -> Labels {
                vec![("method", method.to_owned().into()), ("route", route.into())]
            };
            let answered = counts.statuses.each_ref().map(|count| count.load(Relaxed));
            let any = answered.iter().any(|count| *count > 0);
            for (number, count) in answered.into_iter().enumerate() {
                let status = STATUSES.get(number);
                // A series that begins at 1 has no increase: of errors the first one counts.
                if count > 0 || (any && status == Some(&500)) {
                    let status = status.map_or_else(|| OTHER.to_owned(), u16::to_string);
                    let mut labels = labels();
                    labels.push(("status", status.into()));
                    requests = requests.with(labels, Value::Count(count));
                }
            }
            let gone = counts.abandoned.load(Relaxed);
            if any {
                times = times.with(labels(), counts.times.show());
            }
            if any || gone > 0 {
                abandoned = abandoned.with(labels(), Value::Count(gone));
            }
        }
        [requests, times, abandoned]
    }

    fn all(&self) -> impl Iterator<Item = (&str, &'static str, &Counts)> {
        let of_routes = self.routes.iter().flat_map(|(path, route)| {
            let methods = route.methods.iter().map(|(method, counts)| (method.as_str(), counts));
            let methods = methods.chain([(OTHER, &route.other)]);
            methods.map(move |(method, counts)| (method, *path, counts))
        });
        of_routes.chain([(OTHER, OTHER, &self.other)])
    }
}

impl Counted<'_> {
    /// It was answered.
    pub(crate) fn answered(self, status: StatusCode, took: Duration) {
        self.0.answered(status);
        self.0.times.note(took);
    }

    /// Its client hung up before.
    pub(crate) fn abandoned(self) {
        self.0.abandoned.fetch_add(1, Relaxed);
    }
}

impl Counts {
    fn answered(&self, status: StatusCode) {
        let status = status.as_u16();
        let number = STATUSES.iter().position(|one| *one == status).unwrap_or(STATUSES.len());
        self.statuses[number].fetch_add(1, Relaxed);
    }
}
