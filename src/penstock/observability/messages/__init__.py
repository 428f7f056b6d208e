"""Alerts in the words of those who receive them: pure functions from an alert to what is sent. None sends."""

from penstock.observability.messages.chats import discord, slack, teams
from penstock.observability.messages.mail import email
from penstock.observability.messages.parts import when
from penstock.observability.messages.prometheus import alertmanager

__all__ = ["alertmanager", "discord", "email", "slack", "teams", "when"]
