use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::{Client, client::Body};
use serde_json::Value;
use tower::service_fn;

type Answer = Box<dyn FnMut(&Value) -> (StatusCode, Value) + Send>;

struct Step {
    /// Any one of these, each once.
    calls: Vec<Call>,
}

struct Call {
    method: String,
    path: String,
    answer: Answer,
    /// May come any number of times, or not at all, before the next step.
    optional: bool,
}

#[derive(Default)]
struct Inner {
    steps: VecDeque<Step>,
    surplus: Vec<String>,
}

/// An API server that knows in advance what it will be asked.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<Inner>>);

impl Script {
    pub fn client(&self) -> Client {
        let inner = self.0.clone();
        let service = service_fn(move |request: Request<Body>| {
            let inner = inner.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let (status, answer) =
                    inner
                        .lock()
                        .unwrap()
                        .answer(parts.method.as_str(), parts.uri.path(), &body);
                let bytes = serde_json::to_vec(&answer).unwrap();
                let response = Response::builder()
                    .status(status)
                    .body(Full::from(bytes))
                    .unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        Client::new(service, "default")
    }

    /// The next call.
    pub fn expect(
        &mut self,
        method: &str,
        path: &str,
        answer: impl FnMut(&Value) -> (StatusCode, Value) + Send + 'static,
    ) {
        self.push(vec![Call {
            method: method.into(),
            path: path.into(),
            answer: Box::new(answer),
            optional: false,
        }]);
    }

    /// The next calls, in whatever order.
    pub fn any_order<const N: usize>(&mut self, calls: [(&str, &str, (StatusCode, Value)); N]) {
        let call = |(method, path, answer): (&str, &str, (StatusCode, Value))| Call {
            method: method.into(),
            path: path.into(),
            answer: Box::new(move |_| answer.clone()),
            optional: false,
        };
        self.push(calls.into_iter().map(call).collect());
    }

    /// Any number of events; how many are told is the plan's business.
    pub fn events(&mut self, path: &str) {
        self.push(vec![Call {
            method: "POST".into(),
            path: path.into(),
            answer: Box::new(|body| (StatusCode::CREATED, body.clone())),
            optional: true,
        }]);
    }

    fn push(&mut self, calls: Vec<Call>) {
        self.0.lock().unwrap().steps.push_back(Step { calls });
    }

    /// Everything expected was asked, and nothing else.
    pub fn finish(&self) {
        let inner = self.0.lock().unwrap();
        assert!(
            inner.surplus.is_empty(),
            "not expected: {:#?}",
            inner.surplus
        );
        let left = inner
            .steps
            .iter()
            .flat_map(|step| &step.calls)
            .filter(|call| !call.optional);
        let left: Vec<_> = left
            .map(|call| format!("{} {}", call.method, call.path))
            .collect();
        assert!(left.is_empty(), "never asked: {left:#?}");
    }
}

impl Inner {
    fn answer(&mut self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        while let Some(step) = self.steps.front_mut() {
            let found = step
                .calls
                .iter()
                .position(|call| call.method == method && call.path == path);
            if let Some(found) = found {
                if step.calls[found].optional {
                    return (step.calls[found].answer)(body);
                }
                let mut call = step.calls.remove(found);
                if step.calls.is_empty() {
                    self.steps.pop_front();
                }
                return (call.answer)(body);
            }
            if !step.calls.iter().all(|call| call.optional) {
                break;
            }
            self.steps.pop_front();
        }
        self.surplus.push(format!("{method} {path}"));
        (StatusCode::IM_A_TEAPOT, Value::Null)
    }
}
