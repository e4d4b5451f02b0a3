//! An agent that answers texts, by webhook.
//!
//! SWITCHBOARD_URL=http://127.0.0.1:8080 SWITCHBOARD_API_KEY=sk_live_… SWITCHBOARD_LINE=+15550100001 \
//! AGENT_URL=https://agent.example.org/ AGENT_LISTEN=127.0.0.1:3000 \
//!     cargo run -p switchboard-client --example agent_webhook
//!
//! AGENT_URL is where Switchboard reaches AGENT_LISTEN; without it, they are taken for the same.

use std::{env, error::Error, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode};
use switchboard_client::{Client, CreateWebhook, SendMessage, webhook};
use switchboard_model::{EventKind, webhook::WebhookSecret};

/// How long the server remembers an Idempotency-Key.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

struct Agent {
    client: Client,
    secret: WebhookSecret,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, key) = (env::var("SWITCHBOARD_URL")?, env::var("SWITCHBOARD_API_KEY")?);
    let line = env::var("SWITCHBOARD_LINE")?;
    let client = Client::builder(&url).key(&key).retries(2).build()?;

    // Listen first: the first delivery may come as soon as the webhook is there.
    let listen = env::var("AGENT_LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    let own = format!("http://{}/", listener.local_addr()?);
    let public = env::var("AGENT_URL").unwrap_or(own);

    // A secret is shown once, so that of an earlier run is lost: its webhook makes room.
    for old in client.webhooks(&line).await?.value.data {
        if old.url == public {
            client.delete_webhook(old.id).await?;
        }
    }
    let hook = CreateWebhook::new(&line, &public, [EventKind::MessageReceived]);
    let made = client.create_webhook(&hook).await?.value;
    let secret = made.secret.ok_or("the new webhook came without its secret")?;
    eprintln!("ready");

    let agent = Arc::new(Agent { client, secret });
    axum::serve(listener, Router::new().fallback(receive).with_state(agent)).await?;
    Ok(())
}

/// 2xx: handled, do not send it again. 5xx: send it again later. 4xx: not from Switchboard.
async fn receive(State(agent): State<Arc<Agent>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(delivery) = webhook::verify_now(&agent.secret, &headers, &body) else {
        return StatusCode::UNAUTHORIZED;
    };
    let Ok(received) = delivery.message() else { return StatusCode::NO_CONTENT };
    let message = received.message;
    // Never talk to ourselves. And an answer that may have been given before the server forgot
    // its key is not given again.
    let too_old = delivery.timestamp.since(message.synced_at) >= REMEMBERED;
    let Some(text) = message.text.filter(|_| !message.is_from_me && !too_old) else {
        return StatusCode::NO_CONTENT;
    };
    // The chat, not the sender: in a group the answer belongs to the group.
    let (from, to) = (received.line_handle.as_str(), message.chat_id.to_string());
    let answer =
        SendMessage::text(from, to, format!("You said: {text}")).reply_to(message.id.to_string());
    // One answer to one message, however often it is delivered.
    let key = format!("answer-{}", message.id);
    let Ok(once) = agent.client.with_idempotency_key(&key) else { return StatusCode::NO_CONTENT };
    match once.send_message(&answer).await {
        Err(error) if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
        Err(error) => {
            eprintln!("message {}: {error}", message.id);
            StatusCode::NO_CONTENT
        }
        Ok(_) => StatusCode::NO_CONTENT,
    }
}
